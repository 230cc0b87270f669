using System.Text.Json;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>tokenizer.json</c> and, where there is one, <c>tokenizer_config.json</c>.</summary>
internal static class TokenizerLoader
{
    private const string FileName = "tokenizer.json";

    // A vocabulary of a million tokens takes about 50 MB; the limit keeps a hostile file from taking all memory.
    private const long MaxBytes = 512L << 20;

    /// <summary>Reads a file, or the folder it lies in.</summary>
    public static TokenizerParts Load(string fileOrFolder)
    {
        var file = Directory.Exists(fileOrFolder) ? Path.Combine(fileOrFolder, FileName) : fileOrFolder;
        var config = Path.Combine(Path.GetDirectoryName(file) ?? "", "tokenizer_config.json");
        return File.Exists(config)
            ? Parse(ReadFile(file), file, ReadFile(config), config)
            : Parse(ReadFile(file), file);
    }

    /// <summary>Builds a tokenizer from the bytes of its files.</summary>
    public static TokenizerParts Parse(
        ReadOnlyMemory<byte> json, string file, ReadOnlyMemory<byte>? configJson = null, string configFile = "")
    {
        var config = configJson is { } bytes ? ParseConfig(bytes, configFile) : new TokenizerConfig();
        using var document = ParseDocument(json, file);
        var root = new Section(document.RootElement, file, "");
        var normalizer = NormalizerLoader.Load(root["normalizer"]);
        var model = ModelLoader.Load(root.Required("model"));
        return new TokenizerParts(model, AddedTokensLoader.Load(root["added_tokens"], model.Vocabulary, normalizer))
        {
            PreTokenizer = PreTokenizerLoader.Load(root["pre_tokenizer"]),
            PostProcessor = PostProcessorLoader.Load(root["post_processor"]),
            Decoder = DecoderLoader.Load(root["decoder"]),
            Truncation = OptionsLoader.LoadTruncation(root["truncation"]),
            Padding = OptionsLoader.LoadPadding(root["padding"]),
            Config = config,
        };
    }

    // Names only: their ids follow from the tokenizer itself.
    private static TokenizerConfig ParseConfig(ReadOnlyMemory<byte> json, string file)
    {
        using var document = ParseDocument(json, file);
        var root = new Section(document.RootElement, file, "");
        return new TokenizerConfig
        {
            BosToken = TokenName(root["bos_token"]),
            EosToken = TokenName(root["eos_token"]),
            PadToken = TokenName(root["pad_token"]),
            CleanUp = root.Bool("clean_up_tokenization_spaces", false),
        };
    }

    // A special token is a string or an object with its content.
    private static string? TokenName(Section token) =>
        token.IsNull ? null : token.IsObject ? token.Required("content").AsText() : token.AsText();

    // Nesting is limited by the JSON reader (64 levels), so the loaders can recurse.
    private static JsonDocument ParseDocument(ReadOnlyMemory<byte> json, string file)
    {
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException e)
        {
            throw new MoeFormatException(file, null, "is not valid JSON: " + e.Message, e);
        }
    }

    // Whatever keeps a file from being read is told as a problem of that file.
    private static byte[] ReadFile(string file)
    {
        try
        {
            if (FileLength.Of(file) > MaxBytes)
                throw new MoeFormatException(file, null, $"is larger than {MaxBytes >> 20} MiB");
            return File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeFormatException(file, null, "cannot be read: " + e.Message, e);
        }
    }
}
