using System.Globalization;
using MoeKernels.Compression;

namespace MoeKernels.Benchmarks.Quality;

/// <summary>The command line of <see cref="QualityRun"/>.</summary>
/// <param name="Model">Folder of the dense model.</param>
/// <param name="Books">Folder of the texts.</param>
/// <param name="Validation">Texts that choices are made on.</param>
/// <param name="Test">Texts that are only reported.</param>
/// <param name="Tokens">Calibration tokens.</param>
/// <param name="Allocation">How bits are spread.</param>
/// <param name="Bits">Budgets; null for all.</param>
/// <param name="Windows">Most windows to evaluate; null for all.</param>
/// <param name="Output">File for the table; null for the screen alone.</param>
internal sealed record QualityOptions(
    string Model, string Books, string[] Validation, string[] Test, int Tokens, AllocationMode Allocation,
    double[]? Bits, int? Windows, string? Output)
{
    public const string Usage = """
        quality MODEL --books FOLDER --val FILE[,FILE] --test FILE[,FILE] [--bits B[,B]] [--tokens N] [--windows N]
                [--allocation fast|full|uniform] [--out FILE]
        """;

    /// <summary>Reads the arguments behind the verb; null when they are wrong.</summary>
    public static QualityOptions? Parse(string[] arguments)
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 2; i + 1 < arguments.Length; i += 2)
            values[arguments[i]] = arguments[i + 1];
        if (arguments.Length < 2 || !values.TryGetValue("--books", out string? books))
            return null;
        return new QualityOptions(
            arguments[1], books, Files("--val"), Files("--test"),
            int.Parse(values.GetValueOrDefault("--tokens", "262144"), CultureInfo.InvariantCulture),
            Enum.Parse<AllocationMode>(values.GetValueOrDefault("--allocation", "full"), ignoreCase: true),
            values.GetValueOrDefault("--bits")?.Split(',')
                .Select(text => double.Parse(text, CultureInfo.InvariantCulture)).ToArray(),
            values.TryGetValue("--windows", out string? windows)
                ? int.Parse(windows, CultureInfo.InvariantCulture)
                : null,
            values.GetValueOrDefault("--out"));

        string[] Files(string key) => [.. (values.GetValueOrDefault(key)?.Split(',') ?? [])
            .Select(name => Path.Combine(books, name))];
    }
}
