using System.Runtime.CompilerServices;
using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text;

/// <summary>The reference's answers in tests/data/tokenizers; offsets there count code points.</summary>
internal static class TokenizerFixtures
{
    public static readonly string[] Families =
    [
        "added-tokens", "bert", "deepseek-v2", "deepseek-v3", "gpt-oss", "llama3", "mixtral-legacy",
        "mixtral-metaspace", "nllb", "olmoe", "qwen3", "switch",
    ];

    private static readonly Dictionary<string, JsonElement> Documents = [];

    public static string Folder { get; } = Path.GetFullPath(Path.Combine(SourceFolder(), "../../data/tokenizers"));

    /// <summary>Full data for the long checks, or null where it is not there.</summary>
    public static string? FullData => Environment.GetEnvironmentVariable("MOEK_TEST_DATA") is { Length: > 0 } folder
        ? folder
        : null;

    public static JsonElement Read(string file)
    {
        lock (Documents)
        {
            if (!Documents.TryGetValue(file, out var root))
            {
                var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, file)));
                Documents[file] = root = document.RootElement;
            }

            return root;
        }
    }

    public static Tokenizer Load(string family) => Tokenizer.Load(Path.Combine(Folder, family));

    /// <summary>Cases of a family; a case without a text takes it from texts.json by name.</summary>
    public static IEnumerable<(string Name, string Text, JsonElement Case)> Cases(string family)
    {
        var texts = Read("texts.json").GetProperty("texts");
        foreach (var item in Read($"{family}/cases.json").GetProperty("cases").EnumerateArray())
        {
            var name = item.GetProperty("name").GetString()!;
            var text = item.TryGetProperty("text", out var own) ? own : texts.GetProperty(name);
            yield return (name, text.GetString()!, item);
        }
    }

    /// <summary>Runs a check on every case and reports the names of all that fail.</summary>
    public static void CheckAll<T>(IEnumerable<T> cases, Func<T, string> name, Action<T> check)
    {
        var failures = new List<string>();
        var count = 0;
        foreach (var item in cases)
        {
            count++;
            try
            {
                check(item);
            }
            catch (Exception e)
            {
                failures.Add($"{name(item)}: {e.GetType().Name} {e.Message}");
            }
        }

        Assert.True(failures.Count == 0, $"{failures.Count} of {count} fail\n{string.Join('\n', failures)}");
    }

    public static int[] Ints(this JsonElement array) => [.. array.EnumerateArray().Select(x => x.GetInt32())];

    public static int?[] NullableInts(this JsonElement array) =>
        [.. array.EnumerateArray().Select(x => x.ValueKind == JsonValueKind.Null ? (int?)null : x.GetInt32())];

    public static string[] Strings(this JsonElement array) => [.. array.EnumerateArray().Select(x => x.GetString()!)];

    public static int[] Flat(this IEnumerable<TokenOffset> offsets) =>
        [.. offsets.SelectMany(o => new[] { o.Start, o.End })];

    private static string SourceFolder([CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
