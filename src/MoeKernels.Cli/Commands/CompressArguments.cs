using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using MoeKernels.Compression;

namespace MoeKernels.Cli.Commands;

/// <summary>Options that say how a model is compressed: of <c>moe compress</c> and <c>moe plan
/// --compress</c>.</summary>
internal sealed class CompressArguments
{
    private readonly Option<CompressMethod> _method = new("--method")
    {
        Description = "codebook, or without a budget qmoe, int:2, int:3, int:4; default: codebook",
        CustomParser = ParseMethod,
    };

    private readonly Option<float?> _bits = NumberOptions.Real(
        "--bits", "Average bits per expert weight; default: 1", 0, (float)CompressOptions.MaxBits);

    private readonly Option<float?> _denseBits = NumberOptions.Real(
        "--dense-bits", "Bits per weight of all other linear matrices; default: they are kept", 0.5f,
        (float)CompressOptions.MaxBits);

    private readonly Option<float?> _maxKl = NumberOptions.Real(
        "--max-kl", "Instead of --bits: the smallest size within this divergence, in nats");

    private readonly Option<string[]> _texts = new("--calib")
    {
        Description = "Text files to calibrate with; default: the small book that comes with moe",
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<int?> _tokens = NumberOptions.Integer(
        "--tokens", "Calibration tokens; default: 131072", min: 1);

    private readonly Option<int?> _window = NumberOptions.Integer(
        "--window", "Tokens per window; default: 512", min: 2);

    private readonly Option<AllocationMode> _allocation = new("--allocation")
    {
        Description = "How bits are spread; default: fast",
    };

    private readonly Option<bool> _compare = new("--compare")
    {
        Description = "Also measure QMoE's method and plain rounding for the report; takes several times as long",
    };

    private readonly Option<int?> _threads = ModelArguments.Threads();

    private IEnumerable<Option> All =>
        [_method, _bits, _denseBits, _maxKl, _texts, _tokens, _window, _allocation, _compare, _threads];

    /// <summary>Gives a command the options.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in All)
            command.Add(option);
        command.Validators.Add(result =>
        {
            if (!result.GetValue(_method).HasBudget && (Given(result, _bits) || Given(result, _maxKl)))
            {
                result.AddError(
                    $"--method {result.GetValue(_method)} spends no budget: leave --bits and --max-kl out.");
            }
        });
    }

    /// <summary>The first of the options that was given; null for none.</summary>
    public string? FirstGiven(CommandResult result) => All.FirstOrDefault(option => Given(result, option))?.Name;

    /// <summary>What was given, with the texts read.</summary>
    /// <exception cref="MoeFormatException">A text cannot be read or is not UTF-8.</exception>
    public async Task<CompressOptions> ReadAsync(ParseResult parsed, CancellationToken cancellation)
    {
        var options = new CompressOptions
        {
            Method = parsed.GetValue(_method),
            Texts = await ReadTextsAsync(parsed.GetValue(_texts) ?? [], cancellation),
            DenseBits = Exact(parsed.GetValue(_denseBits)),
            MaxKl = Exact(parsed.GetValue(_maxKl)),
            Allocation = parsed.GetValue(_allocation),
            Compare = parsed.GetValue(_compare),
            Threads = parsed.GetValue(_threads) ?? 0,
        };
        return options with
        {
            Bits = Exact(parsed.GetValue(_bits)) ?? options.Bits,
            Tokens = parsed.GetValue(_tokens) ?? options.Tokens,
            Window = parsed.GetValue(_window) ?? options.Window,
        };
    }

    private static bool Given(CommandResult result, Option option) =>
        result.GetResult(option) is { Implicit: false };

    private static CompressMethod ParseMethod(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (!CompressMethod.TryParse(text, out CompressMethod method))
            result.AddError($"--method takes codebook, qmoe, int:2, int:3 or int:4, not '{text}'.");
        return method;
    }

    /// <summary>The number as it was typed: 0.9 is not the single nearest to it.</summary>
    private static double? Exact(float? value) => value is { } number
        ? double.Parse(number.ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
        : null;

    private static async Task<string[]> ReadTextsAsync(string[] files, CancellationToken cancellation)
    {
        string[] paths = files.Length == 0
            ? [SampleData.Book]
            : [.. files.OrderBy(file => Path.GetFileName(file), StringComparer.Ordinal)];
        return await Task.WhenAll(paths.Select(path => InputText.ReadFileAsync(path, cancellation)));
    }
}
