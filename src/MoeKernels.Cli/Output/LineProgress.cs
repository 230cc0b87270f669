using System.Diagnostics;

namespace MoeKernels.Cli.Output;

/// <summary>Redraws one line as work goes on, at most ten times a second.</summary>
internal sealed class LineProgress<T>(Terminal terminal, Func<T, string> describe) : IProgress<T>
{
    private readonly object _lock = new();
    private long _last;

    public void Report(T value)
    {
        lock (_lock)
        {
            if (_last == 0 || Stopwatch.GetElapsedTime(_last) > TimeSpan.FromMilliseconds(100))
            {
                _last = Stopwatch.GetTimestamp();
                terminal.Progress(describe(value));
            }
        }
    }
}
