using System.Diagnostics;

namespace MoeKernels.Measuring;

/// <summary>Runs work until it does not get faster any more: the runtime compiles a method again, better, once it has
/// run for a while, and caches and clocks settle.</summary>
internal static class WarmUp
{
    private const double WindowSeconds = 0.4;
    private const int FewestWindows = 2;

    /// <summary>A window that is faster than the one before by less than this ends the warm-up.</summary>
    private const double Gain = 0.95;

    /// <summary>Repeats <paramref name="pass"/> and answers how long that took, and the fastest pass of the
    /// end.</summary>
    /// <param name="pass">What will be measured.</param>
    /// <param name="mostSeconds">Ends the warm-up after this long in any case, but not before a pass is over.</param>
    /// <param name="cancellationToken">Checked between passes.</param>
    public static (double Seconds, double Pass) Run(
        Action pass, double mostSeconds, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        double before = double.PositiveInfinity;
        for (int window = 1; ; window++)
        {
            double fastest = Window(pass, Math.Min(WindowSeconds, mostSeconds), cancellationToken);
            double elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if ((window >= FewestWindows && fastest > Gain * before) || elapsed >= mostSeconds)
            {
                return (elapsed, fastest);
            }

            before = fastest;
        }
    }

    private static double Window(Action pass, double seconds, CancellationToken cancellationToken)
    {
        double fastest = double.PositiveInfinity;
        long start = Stopwatch.GetTimestamp();
        do
        {
            cancellationToken.ThrowIfCancellationRequested();
            long begin = Stopwatch.GetTimestamp();
            pass();
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(begin).TotalSeconds);
        }
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < seconds);
        return fastest;
    }
}
