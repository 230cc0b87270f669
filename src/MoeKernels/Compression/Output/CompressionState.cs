using System.Buffers;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>What a compression has decided so far, kept beside its files so that it can go on after a
/// stop.</summary>
/// <param name="Key">Digest of model, texts and settings: another one's decisions are not used.</param>
internal sealed record CompressionState(string Key)
{
    private const int MaxBytes = 64 << 20;

    /// <summary>Losses of every cell by stack name, in the order of <see cref="CodeOption.All"/>; empty before they are
    /// measured.</summary>
    public IReadOnlyDictionary<string, double[]> Losses { get; init; } = new Dictionary<string, double[]>();

    /// <summary>Option of every cell by stack name; empty before the allocation.</summary>
    public IReadOnlyDictionary<string, CodeOption> Choices { get; init; } = new Dictionary<string, CodeOption>();

    /// <summary>Divergences of sizes that were coded and rejected, in order.</summary>
    public IReadOnlyList<double> Trials { get; init; } = [];

    /// <summary>SHA-256 of the files coded with these choices, by name: a file that is damaged, or that was cut off by
    /// a crash, is coded again.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>();

    /// <summary>Reads a state; null where there is none that can be used.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">What its key must be.</param>
    /// <param name="cells">The cells it must speak of.</param>
    public static CompressionState? Read(string path, string key, IReadOnlyList<Cell> cells)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            using JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: true);
            JsonElement root = document.RootElement;
            if (root.GetProperty("key").GetString() != key)
                return null;
            CompressionState state = Read(root, key);
            return state.Fits(cells) ? state : null;
        }
        catch (Exception e) when (e is MoeException or KeyNotFoundException or InvalidOperationException
            or FormatException or IndexOutOfRangeException)
        {
            // A state that cannot be read decides nothing: the run starts again.
            return null;
        }
    }

    /// <summary>Writes the state in place of an earlier one.</summary>
    public void Write(string path)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            json.WriteString("key", Key);
            json.WriteStartObject("losses");
            foreach ((string stack, double[] losses) in Losses)
            {
                json.WriteStartArray(stack);
                foreach (double loss in losses)
                    json.WriteNumberValue(loss);
                json.WriteEndArray();
            }

            json.WriteEndObject();
            json.WriteStartObject("choices");
            foreach ((string stack, CodeOption option) in Choices)
            {
                json.WriteStartArray(stack);
                json.WriteNumberValue(option.Dimension);
                json.WriteNumberValue(option.Stages);
                json.WriteEndArray();
            }

            json.WriteEndObject();
            json.WriteStartArray("trials");
            foreach (double trial in Trials)
                json.WriteNumberValue(trial);
            json.WriteEndArray();
            json.WriteStartObject("files");
            foreach ((string name, string hash) in Files)
                json.WriteString(name, hash);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        AtomicFile.Write(path, buffer.WrittenSpan);
    }

    private static CompressionState Read(JsonElement root, string key) => new(key)
    {
        Losses = root.GetProperty("losses").EnumerateObject().ToDictionary(
            cell => cell.Name, cell => Numbers(cell.Value)),
        Choices = root.GetProperty("choices").EnumerateObject().ToDictionary(
            cell => cell.Name, cell => new CodeOption(cell.Value[0].GetInt32(), cell.Value[1].GetInt32())),
        Trials = Numbers(root.GetProperty("trials")),
        Files = root.GetProperty("files").EnumerateObject().ToDictionary(
            file => file.Name, file => file.Value.GetString() ?? string.Empty),
    };

    private static double[] Numbers(JsonElement array) =>
        [.. array.EnumerateArray().Select(number => number.GetDouble())];

    /// <summary>Whether nothing is missing, and every number can be meant.</summary>
    private bool Fits(IReadOnlyList<Cell> cells) =>
        (Losses.Count == 0 || (Losses.Count == cells.Count && cells.All(
            cell => Losses.TryGetValue(cell.Stack, out double[]? losses)
                && losses.Length == CodeOption.All.Count && losses.All(double.IsFinite))))
        && (Choices.Count == 0 || (Choices.Count == cells.Count && Losses.Count > 0 && cells.All(
            cell => Choices.TryGetValue(cell.Stack, out CodeOption option) && CodeOption.All.Contains(option))))
        && Trials.All(double.IsFinite);
}
