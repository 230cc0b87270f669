using System.Diagnostics;

namespace MoeKernels.Compression;

/// <summary>How long short pieces of work take on a machine that does nothing else: their processor time, so that what
/// runs beside them does not count.</summary>
internal static class Timing
{
    /// <summary>Work that takes as long is not repeated: what compiling it cost no longer counts.</summary>
    private const double Long = 0.15;

    /// <summary>Shorter work is repeated for as long, in batches that the clock can tell.</summary>
    private const double Repeated = 0.04, Batch = 0.004;

    /// <summary>Seconds of one run, in the batch that took least.</summary>
    /// <param name="workers">Threads that are busy all the time.</param>
    /// <param name="action">The work.</param>
    public static double Seconds(int workers, Action action)
    {
        (double best, double wall) = Once(action);
        if (wall >= Long)
            return best / workers;
        int runs = (int)Math.Ceiling(Batch / wall);
        for (double spent = 0; spent < Repeated; spent += wall)
        {
            (double seconds, wall) = Once(() =>
            {
                for (int i = 0; i < runs; i++)
                    action();
            });
            best = Math.Min(best, seconds / runs);
        }

        return best / workers;
    }

    /// <summary>Processor and wall-clock time. Where the processor's clock is too coarse to have ticked, the wall's
    /// counts.</summary>
    private static (double Processor, double Wall) Once(Action action)
    {
        TimeSpan before = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        action();
        double wall = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        return (processor > 0 ? processor : wall, Math.Max(wall, 1e-6));
    }
}
