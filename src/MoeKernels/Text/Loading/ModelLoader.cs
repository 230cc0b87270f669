using MoeKernels.Text.TokenModels;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>model</c>.</summary>
internal static class ModelLoader
{
    /// <exception cref="MoeUnsupportedException">The type is none of the four.</exception>
    public static ITokenModel Load(Section section) => ModelType(section) switch
    {
        "BPE" => LoadBpe(section),
        "Unigram" => LoadUnigram(section),
        "WordPiece" => LoadWordPiece(section),
        "WordLevel" => LoadWordLevel(section),
        var type => throw new MoeUnsupportedException($"tokenizer model {type}", section.Where),
    };

    // Files before 2020 do not name the type; merges, scores or a prefix tell it.
    private static string ModelType(Section section)
    {
        if (section["type"] is { IsNull: false } type)
            return type.AsText();
        return section["merges"].IsArray ? "BPE"
            : section["vocab"].IsArray ? "Unigram"
            : section["continuing_subword_prefix"].IsString ? "WordPiece"
            : "WordLevel";
    }

    // Of equal texts the last id counts, as in the reference.
    private static Vocabulary LoadVocabulary(Section section)
    {
        var ids = new Dictionary<string, int>();
        foreach (var (token, id) in section.Members())
            ids[token] = id.AsInt();
        return new Vocabulary(ids);
    }

    // Options that older files lack are off; an empty prefix or suffix is the same as none. Dropout is for
    // training: encoding for inference leaves it out.
    private static BpeModel LoadBpe(Section section)
    {
        var vocabulary = LoadVocabulary(section.Required("vocab"));
        var options = new BpeOptions
        {
            Unknown = section["unk_token"].IsNull ? null : LoadUnknown(section, vocabulary, ""),
            Prefix = section.Text("continuing_subword_prefix", ""),
            Suffix = section.Text("end_of_word_suffix", ""),
            FuseUnknown = section.Bool("fuse_unk", false),
            ByteFallback = section.Bool("byte_fallback", false),
            IgnoreMerges = section.Bool("ignore_merges", false),
        };
        return new BpeModel(vocabulary, LoadMerges(section.Required("merges"), vocabulary, options.Prefix), options);
    }

    // The vocabulary is a list, in which the place is the id.
    private static UnigramModel LoadUnigram(Section section)
    {
        var tokens = new List<(string Text, double Score)>();
        foreach (var item in section.Required("vocab").Items())
        {
            var parts = item.Items().ToList();
            if (parts.Count != 2)
                throw item.Error("is not a pair of token and score");
            tokens.Add((parts[0].AsText(), parts[1].AsNumber()));
        }

        var unknown = section["unk_id"];
        int? id = unknown.IsNull ? null : unknown.AsInt();
        if (id >= tokens.Count)
            throw unknown.Error("is not in the vocabulary");
        return new UnigramModel(
            tokens, new UnknownToken(id, section.File, unknown.Path), section.Bool("byte_fallback", false));
    }

    // The defaults are those of BERT.
    private static WordPieceModel LoadWordPiece(Section section)
    {
        var vocabulary = LoadVocabulary(section.Required("vocab"));
        var maxLength = section["max_input_chars_per_word"];
        return new WordPieceModel(
            vocabulary,
            section.Text("continuing_subword_prefix", "##"),
            LoadUnknown(section, vocabulary, "[UNK]"),
            maxLength.IsNull ? 100 : maxLength.AsInt());
    }

    private static WordLevelModel LoadWordLevel(Section section)
    {
        var vocabulary = LoadVocabulary(section.Required("vocab"));
        return new WordLevelModel(vocabulary, LoadUnknown(section, vocabulary, "<unk>"));
    }

    // A token that the vocabulary lacks is an error only for a text that needs it.
    private static UnknownToken LoadUnknown(Section section, Vocabulary vocabulary, string fallback)
    {
        int? id = vocabulary.TryGetId(section.Text("unk_token", fallback), out var found) ? found : null;
        return new UnknownToken(id, section.File, section["unk_token"].Path);
    }

    // Ranks are places in the list; a pair that comes twice has the later one.
    private static Dictionary<long, (int Rank, int Id)> LoadMerges(
        Section section, Vocabulary vocabulary, string prefix)
    {
        var merges = new Dictionary<long, (int Rank, int Id)>();
        var rank = 0;
        foreach (var item in section.Items())
        {
            // Old files write a header into the list; it does not count.
            if (item.IsString && item.AsText().StartsWith("#version", StringComparison.Ordinal))
                continue;
            var (left, right) = LoadPair(item);
            var joined = left + (right.StartsWith(prefix, StringComparison.Ordinal) ? right[prefix.Length..] : right);
            if (!vocabulary.TryGetId(left, out var leftId) || !vocabulary.TryGetId(right, out var rightId)
                || !vocabulary.TryGetId(joined, out var id))
                throw item.Error("merges tokens that are not in the vocabulary");
            merges[BpeModel.Pair(leftId, rightId)] = (rank++, id);
        }

        return merges;
    }

    // "a b" in old files, ["a", "b"] in new ones, which allow spaces in tokens.
    private static (string Left, string Right) LoadPair(Section item)
    {
        string[] parts = item.IsString ? item.AsText().Split(' ') : [.. item.Items().Select(i => i.AsText())];
        return parts.Length == 2 ? (parts[0], parts[1]) : throw item.Error("is not a pair of tokens");
    }
}
