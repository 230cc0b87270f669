using System.Diagnostics;

namespace MoeKernels.Compression;

/// <summary>Time spent by stage, and what is left of it.</summary>
internal sealed class Stopwatches
{
    /// <summary>Stages.</summary>
    public const string Allocation = "measuring", Coding = "coding", Writing = "writing", Evaluation = "evaluating",
        Comparison = "comparing";

    private readonly Dictionary<string, Stopwatch> _watches = new(StringComparer.Ordinal);

    /// <summary>Seconds of all stages.</summary>
    public double TotalSeconds => _watches.Values.Sum(watch => watch.Elapsed.TotalSeconds);

    /// <summary>Seconds of a stage so far.</summary>
    public double Seconds(string stage) =>
        _watches.TryGetValue(stage, out Stopwatch? watch) ? watch.Elapsed.TotalSeconds : 0;

    /// <summary>Counts the time until the result is disposed.</summary>
    public IDisposable Measure(string stage)
    {
        if (!_watches.TryGetValue(stage, out Stopwatch? watch))
            _watches[stage] = watch = new Stopwatch();
        watch.Start();
        return new Running(watch);
    }

    /// <summary>Time that is left, from what a stage has done; null before its first step. Coding takes about as
    /// long as measuring did.</summary>
    public TimeSpan? Left(string stage, int done, int total)
    {
        if (done == 0)
            return null;
        double left = Seconds(stage) / done * (total - done);
        return TimeSpan.FromSeconds(left + (stage == Allocation ? Seconds(stage) + left : 0));
    }

    private sealed class Running(Stopwatch watch) : IDisposable
    {
        public void Dispose() => watch.Stop();
    }
}
