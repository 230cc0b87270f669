using System.Globalization;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>One coded layer on disk: its stacks, and in the file's metadata what the report says about them.</summary>
/// <param name="Tokens">Calibration tokens of every expert.</param>
/// <param name="Errors">Share of the outputs' mean square that is lost, by kind.</param>
internal sealed record LayerFile(long[] Tokens, IReadOnlyDictionary<string, double> Errors)
{
    private const string TokensKey = "calibration_tokens";
    private const string ErrorPrefix = "relative_error.";
    private const string UnfactoredKey = "matrices_without_factor";

    /// <summary>A file without experts.</summary>
    public static LayerFile Empty { get; } = new([], new Dictionary<string, double>());

    /// <summary>Matrices that were rounded to the nearest levels because the moments of their inputs had no
    /// factor.</summary>
    public long Unfactored { get; init; }

    /// <summary>Name of a layer's file.</summary>
    /// <param name="index">Its place among the coded layers.</param>
    public static string Name(int index) =>
        string.Create(CultureInfo.InvariantCulture, $"coded-{index:D5}.safetensors");

    /// <summary>Writes it into the metadata of a file.</summary>
    public void Describe(IDictionary<string, string> metadata)
    {
        metadata[TokensKey] = string.Join(' ', Tokens);
        if (Unfactored > 0)
            metadata[UnfactoredKey] = Unfactored.ToString(CultureInfo.InvariantCulture);
        foreach ((string kind, double error) in Errors)
            metadata[ErrorPrefix + kind] = error.ToString("R", CultureInfo.InvariantCulture);
    }

    /// <summary>Reads what the report needs of a file with <see cref="Describe"/>'s metadata.</summary>
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
                    pair => pair.Key[ErrorPrefix.Length..], pair => double.Parse(pair.Value, invariant)))
            {
                Unfactored = long.Parse(file.Metadata.GetValueOrDefault(UnfactoredKey, "0"), invariant),
            };
        }
        catch (Exception e) when (e is KeyNotFoundException or FormatException or OverflowException)
        {
            throw new MoeFormatException(path, "__metadata__", "says nothing about the calibration", e);
        }
    }
}
