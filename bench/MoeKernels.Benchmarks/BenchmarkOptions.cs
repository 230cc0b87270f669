namespace MoeKernels.Benchmarks;

/// <summary>The command line.</summary>
/// <param name="Suites">What to run.</param>
/// <param name="Quick">Few rounds: shows that everything works.</param>
/// <param name="Output">Where the table goes; null: only to the screen.</param>
/// <param name="ModelParent">Folder for the generated model.</param>
/// <param name="KeepModel">Whether the generated model stays for the next run.</param>
/// <param name="ProcessorTime">See <see cref="Interleaved.ProcessorTime"/>.</param>
internal sealed record BenchmarkOptions(
    IReadOnlyList<Suite> Suites, bool Quick, string? Output, string ModelParent, bool KeepModel,
    bool ProcessorTime)
{
    public static string Usage { get; } = $"""
        Without arguments everything runs and bench/results is written. Options:
          --only NAME[,NAME]    {string.Join(", ", Suite.All.Select(suite => suite.Name))}; the table goes to the screen
          --quick               few rounds, to the screen
          --out FOLDER          write the table there
          --model-folder PATH   where the generated models are written (9 GB; default: the temporary folder)
          --keep-model          leave it there
          --cpu-time            processor time instead of wall-clock time in comparisons, for a busy machine
        """;

    /// <summary>Reads the arguments; null when they are wrong.</summary>
    public static BenchmarkOptions? Parse(string[] arguments)
    {
        BenchmarkOptions options = new(
            Suite.All, false, null, Path.Combine(Path.GetTempPath(), "moek-bench"), false, false);
        for (int i = 0; i < arguments.Length; i++)
        {
            bool hasValue = i + 1 < arguments.Length;
            switch (arguments[i])
            {
                case "--only" when hasValue && Select(arguments[i + 1]) is { } suites:
                    options = options with { Suites = suites };
                    i++;
                    break;
                case "--out" when hasValue:
                    options = options with { Output = arguments[++i] };
                    break;
                case "--model-folder" when hasValue:
                    options = options with { ModelParent = arguments[++i] };
                    break;
                case "--quick":
                    options = options with { Quick = true };
                    break;
                case "--keep-model":
                    options = options with { KeepModel = true };
                    break;
                case "--cpu-time":
                    options = options with { ProcessorTime = true };
                    break;
                default:
                    return null;
            }
        }

        bool complete = options is { Quick: false, Output: null, ProcessorTime: false }
            && options.Suites.Count == Suite.All.Count;
        return complete ? options with { Output = Path.Combine(Repository.Bench, "results") } : options;
    }

    private static Suite[]? Select(string names)
    {
        string[] wanted = names.Split(',');
        Suite[] suites = [.. Suite.All.Where(suite => wanted.Contains(suite.Name))];
        return suites.Length == wanted.Length ? suites : null;
    }
}
