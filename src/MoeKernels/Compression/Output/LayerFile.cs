using System.Globalization;
using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>One coded layer on disk: its stacks, and in the file's metadata what the report says about them.</summary>
/// <param name="Tokens">Calibration tokens of every expert.</param>
/// <param name="Errors">Share of the outputs' mean square that is lost, by kind.</param>
internal sealed record LayerFile(long[] Tokens, IReadOnlyDictionary<string, double> Errors)
{
    private const string TokensKey = "calibration_tokens";
    private const string ErrorPrefix = "relative_error.";

    /// <summary>A file without experts.</summary>
    public static LayerFile Empty { get; } = new([], new Dictionary<string, double>());

    /// <summary>Name of a layer's file.</summary>
    /// <param name="index">Its place among the coded layers.</param>
    public static string Name(int index) =>
        string.Create(CultureInfo.InvariantCulture, $"coded-{index:D5}.safetensors");

    /// <summary>Writes the file; it appears whole or not at all.</summary>
    public void Save(string path, IReadOnlyDictionary<string, CodebookStack> stacks, CancellationToken cancellation)
    {
        var writer = new SafetensorsWriter();
        foreach ((string name, CodebookStack stack) in stacks)
            CodebookTensors.Add(writer, name, stack);
        writer.Metadata[TokensKey] = string.Join(' ', Tokens);
        foreach ((string kind, double error) in Errors)
            writer.Metadata[ErrorPrefix + kind] = error.ToString("R", CultureInfo.InvariantCulture);
        writer.Save(path, cancellation);
    }

    /// <summary>Reads what the report needs of a file that <see cref="Save"/> wrote.</summary>
    /// <exception cref="MoeFormatException">It is damaged.</exception>
    public static LayerFile Read(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        CultureInfo invariant = CultureInfo.InvariantCulture;
        try
        {
            return new LayerFile(
                [.. file.Metadata[TokensKey].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(
                    text => long.Parse(text, invariant))],
                file.Metadata.Where(pair => pair.Key.StartsWith(ErrorPrefix, StringComparison.Ordinal)).ToDictionary(
                    pair => pair.Key[ErrorPrefix.Length..], pair => double.Parse(pair.Value, invariant)));
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or OverflowException)
        {
            throw new MoeFormatException(path, "__metadata__", "says nothing about the calibration", e);
        }
    }
}
