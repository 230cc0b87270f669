using MoeKernels.Text.Alignment;
using MoeKernels.Text.Decoders;
using MoeKernels.Text.Loading;
using MoeKernels.Text.PostProcessors;
using MoeKernels.Text.TokenModels;

namespace MoeKernels.Text;

/// <summary>
/// A Hugging Face tokenizer, read from <c>tokenizer.json</c> as it is: text to token ids and back.
/// </summary>
/// <remarks>
/// Byte-level BPE, BPE with byte fallback, Unigram, WordPiece and WordLevel models with their normalizers,
/// pre-tokenizers, post-processors and decoders. Immutable: one instance may serve any number of threads.
/// Source of the format: the tokenizers library of Hugging Face, version 0.23.
/// </remarks>
public sealed class Tokenizer
{
    private readonly TokenizerParts _parts;

    internal Tokenizer(TokenizerParts parts)
    {
        _parts = parts;
        var vocabulary = parts.Model.Vocabulary;
        VocabularySize = vocabulary.Count
            + parts.Added.ById.Values.Count(t => !vocabulary.TryGetId(t.Content, out _));
    }

    /// <summary>Number of tokens: the model's vocabulary and the added tokens that are not in it.</summary>
    public int VocabularySize { get; }

    /// <summary>Id of the beginning-of-sequence token of <c>tokenizer_config.json</c>, if it names one.</summary>
    public int? BosTokenId => IdOf(_parts.Config.BosToken);

    /// <summary>Id of the padding token of <c>tokenizer_config.json</c>, if it names one.</summary>
    public int? PadTokenId => IdOf(_parts.Config.PadToken);

    /// <summary>Ids that end a text by <c>tokenizer_config.json</c>; empty if it names none.</summary>
    public IReadOnlyList<int> EosTokenIds => IdOf(_parts.Config.EosToken) is { } id ? [id] : [];

    /// <summary>Whether <c>tokenizer_config.json</c> sets <c>clean_up_tokenization_spaces</c>.</summary>
    public bool CleansUpSpaces => _parts.Config.CleanUp;

    /// <summary>Truncation the file asks for; it is applied only if passed to an encoding call.</summary>
    public TruncationOptions? FileTruncation => _parts.Truncation;

    /// <summary>Padding the file asks for; it is applied only if passed to an encoding call.</summary>
    public PaddingOptions? FilePadding => _parts.Padding;

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="fileOrFolder">
    /// A <c>tokenizer.json</c>, or the folder it lies in. A <c>tokenizer_config.json</c> beside it adds the names of
    /// the special tokens.
    /// </param>
    /// <exception cref="MoeFormatException">The file is missing or malformed; names the file and key.</exception>
    /// <exception cref="MoeUnsupportedException">The file asks for a step this library does not have.</exception>
    public static Tokenizer Load(string fileOrFolder)
    {
        ArgumentException.ThrowIfNullOrEmpty(fileOrFolder);
        return new Tokenizer(TokenizerLoader.Load(fileOrFolder));
    }

    /// <summary>Turns a text into tokens.</summary>
    /// <param name="text">Any text; special tokens spelt out in it are recognised.</param>
    /// <param name="addSpecialTokens">Whether the file's template may add tokens such as BOS.</param>
    /// <param name="options">Truncation and padding; none if null.</param>
    /// <exception cref="ArgumentException">The text holds a lone surrogate.</exception>
    /// <exception cref="MoeUnsupportedException">A pattern of the file needs runaway backtracking.</exception>
    public TokenEncoding Encode(string text, bool addSpecialTokens = true, EncodingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Finish([EncodeParts([text], addSpecialTokens, options)], options)[0];
    }

    /// <summary>Turns texts into tokens; padding without a length fills all of them up to the longest.</summary>
    /// <inheritdoc cref="Encode" path="/exception"/>
    /// <param name="texts">Any texts.</param>
    /// <param name="addSpecialTokens">Whether the file's template may add tokens such as BOS.</param>
    /// <param name="options">Truncation and padding; none if null.</param>
    public IReadOnlyList<TokenEncoding> EncodeBatch(
        IReadOnlyList<string> texts, bool addSpecialTokens = true, EncodingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(texts);
        var builders = texts.Select(t => EncodeParts([t], addSpecialTokens, options)).ToList();
        return Finish(builders, options);
    }

    /// <summary>Turns a pair of texts (question and context, say) into one sequence of tokens.</summary>
    /// <inheritdoc cref="Encode" path="/exception"/>
    /// <param name="first">First text; its tokens have sequence id 0.</param>
    /// <param name="second">Second text; its tokens have sequence id 1.</param>
    /// <param name="addSpecialTokens">Whether the file's template may add separators and the like.</param>
    /// <param name="options">Truncation and padding; none if null.</param>
    public TokenEncoding EncodePair(
        string first, string second, bool addSpecialTokens = true, EncodingOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        return Finish([EncodeParts([first, second], addSpecialTokens, options)], options)[0];
    }

    /// <summary>Turns tokens back into text; ids outside the vocabulary are skipped.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens are left out.</param>
    /// <param name="cleanUpSpaces">
    /// Whether spaces before punctuation and English contractions are taken out at the end, as transformers does for
    /// models with <see cref="CleansUpSpaces"/>: version 4 for all of them, version 5 for all but BPE models.
    /// </param>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true, bool cleanUpSpaces = false)
    {
        var tokens = new List<string>(ids.Length);
        foreach (var id in ids)
        {
            var text = _parts.Added.DecodedText(id) ?? _parts.Model.Vocabulary.TextOf(id);
            if (text is not null && !(skipSpecialTokens && _parts.Added.IsSpecialText(text)))
                tokens.Add(text);
        }

        var result = _parts.Decoder is null
            ? string.Join(' ', tokens)
            : string.Concat(_parts.Decoder.Apply(tokens));
        return cleanUpSpaces ? CleanUp.ApplyAtEnd(result) : result;
    }

    /// <summary>Starts decoding token by token, for text that is shown while it is generated.</summary>
    public DecodeStream CreateDecodeStream(bool skipSpecialTokens = true) => new(this, skipSpecialTokens);

    /// <summary>Id of a token by its exact text, or null.</summary>
    public int? TokenId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        if (_parts.Added.TryGetId(token, out var id) || _parts.Model.Vocabulary.TryGetId(token, out id))
            return id;
        return null;
    }

    /// <summary>Text of a token as the vocabulary spells it, or null if there is none of that id.</summary>
    public string? TokenText(int id) => _parts.Added.ById.TryGetValue(id, out var added)
        ? added.Content
        : _parts.Model.Vocabulary.TextOf(id);

    /// <summary>Whether an id is a special token, which decoding can leave out.</summary>
    public bool IsSpecial(int id) => _parts.Added.ById.TryGetValue(id, out var added) && added.Special;

    private int? IdOf(string? token) => token is null ? null : TokenId(token);

    private EncodingBuilder EncodeParts(ReadOnlySpan<string> texts, bool addSpecialTokens, EncodingOptions? options)
    {
        var encodings = new List<EncodingBuilder>(texts.Length);
        foreach (var text in texts)
            encodings.Add(EncodeText(text, encodings.Count));
        if (options?.Truncation is { } truncation)
        {
            var added = addSpecialTokens ? _parts.PostProcessor?.AddedTokens(encodings.Count > 1) ?? 0 : 0;
            Truncation.Apply(encodings, truncation, added);
        }

        return PostProcessing.Run(_parts.PostProcessor, encodings, addSpecialTokens);
    }

    private static TokenEncoding[] Finish(IReadOnlyList<EncodingBuilder> builders, EncodingOptions? options)
    {
        if (options?.Padding is { } padding)
            Padding.Apply(builders, padding);
        return [.. builders.Select(b => new TokenEncoding(b))];
    }

    private EncodingBuilder EncodeText(string text, int typeId)
    {
        var pieces = _parts.Added.Extract(AlignedText.FromString(text));
        if (_parts.PreTokenizer is not null)
            pieces = _parts.PreTokenizer.Apply(pieces);
        var session = _parts.Model.Start();
        var result = new EncodingBuilder();
        for (var word = 0; word < pieces.Count; word++)
        {
            var piece = pieces[word];
            if (piece.IsToken)
                Add(result, piece, new ModelToken(piece.TokenId, 0, piece.Length, CodePoints.ToText(piece.Chars)));
            else
            {
                foreach (var token in session.Tokenize(piece.Chars))
                    Add(result, piece, token);
            }

            void Add(EncodingBuilder builder, Piece from, ModelToken token)
            {
                var (start, end) = Origin(from, token);
                var shown = token.Surface ?? _parts.Model.Vocabulary.TextOf(token.Id) ?? "";
                builder.Tokens.Add(new TokenEntry(token.Id, shown, start, end) { TypeId = typeId, WordId = word });
            }
        }

        return result;
    }

    private static (int Start, int End) Origin(Piece piece, ModelToken token)
    {
        if (token.End <= token.Start)
            return (piece.OriginalStart, piece.OriginalStart);
        return (piece.Text.Starts[piece.Start + token.Start], piece.Text.Ends[piece.Start + token.End - 1]);
    }
}
