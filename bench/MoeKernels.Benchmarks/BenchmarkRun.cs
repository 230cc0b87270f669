using MoeKernels.Benchmarks.Reporting;

namespace MoeKernels.Benchmarks;

/// <summary>What is asked of the benchmarks, and the figures they hand in.</summary>
/// <param name="quick">A few rounds instead of many: shows that everything works, not how fast it is.</param>
internal sealed class BenchmarkRun(bool quick)
{
    private readonly List<Result> _results = [];
    private readonly List<string> _notes = [];

    public bool Quick => quick;

    /// <summary>One thread, and all processors.</summary>
    public IReadOnlyList<int> ThreadCounts { get; } =
        Environment.ProcessorCount == 1 ? [1] : [1, Environment.ProcessorCount];

    public IReadOnlyList<Result> Results => _results;

    public IReadOnlyList<string> Notes => _notes;

    /// <summary>Adds a line to the table and shows it.</summary>
    public void Add(Result result)
    {
        _results.Add(result);
        Console.WriteLine($"{result.Benchmark} {ResultFiles.Line(result)}");
    }

    /// <inheritdoc cref="Add(Result)"/>
    public void Add(
        string benchmark, string name, int threads, string measure, double value, string unit, Target? target = null) =>
        Add(new Result(benchmark, name, threads, measure, value, unit, target));

    /// <summary>Adds a sentence below the table.</summary>
    public void Note(string sentence)
    {
        _notes.Add(sentence);
        Console.WriteLine(sentence);
    }
}
