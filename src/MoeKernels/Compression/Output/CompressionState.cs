using System.Buffers;
using System.Text.Json;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>What a compression has decided so far, kept beside its files so that it can go on after a
/// stop.</summary>
/// <param name="Key">Digest of model, texts and settings: another one's decisions are not used.</param>
/// <param name="Losses">Losses of every cell by stack name, in the order of <see cref="CodeOption.All"/>.</param>
/// <param name="Choices">Option of every cell by stack name; empty before the allocation.</param>
internal sealed record CompressionState(
    string Key, IReadOnlyDictionary<string, double[]> Losses, IReadOnlyDictionary<string, CodeOption> Choices)
{
    private const int MaxBytes = 64 << 20;

    /// <summary>Reads a state; null where there is none that can be used.</summary>
    public static CompressionState? Read(string path, string key)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            using JsonDocument document = JsonText.Parse(path, BoundedFile.Read(path, MaxBytes), uniqueNames: true);
            JsonElement root = document.RootElement;
            if (root.GetProperty("key").GetString() != key)
                return null;
            return new CompressionState(
                key,
                root.GetProperty("losses").EnumerateObject().ToDictionary(
                    cell => cell.Name, cell => cell.Value.EnumerateArray().Select(x => x.GetDouble()).ToArray()),
                root.GetProperty("choices").EnumerateObject().ToDictionary(
                    cell => cell.Name, cell => new CodeOption(cell.Value[0].GetInt32(), cell.Value[1].GetInt32())));
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
            json.WriteEndObject();
        }

        AtomicFile.Write(path, buffer.WrittenSpan);
    }
}
