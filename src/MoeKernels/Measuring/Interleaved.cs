using System.Diagnostics;

namespace MoeKernels.Measuring;

/// <summary>Times alternatives in turn, round after round, so that a disturbance of the machine meets all of
/// them.</summary>
internal static class Interleaved
{
    /// <summary>Rounds that are run but not counted.</summary>
    public const int WarmUpRounds = 2;

    /// <summary>Whether processor time of this process, divided by the threads, is taken instead of wall-clock time:
    /// of use on a machine that others use too, but waiting by spinning counts as work and waiting by sleeping does
    /// not.</summary>
    public static bool ProcessorTime { get; set; }

    /// <summary>Median seconds of each alternative, and the median over the rounds of its speed relative to
    /// the first one in the same round.</summary>
    /// <param name="rounds">Rounds after the warm-up.</param>
    /// <param name="threads">Threads that each alternative uses.</param>
    /// <param name="alternatives">What to run, the reference first.</param>
    public static (double Seconds, double Ratio)[] Measure(int rounds, int threads, params Action[] alternatives) =>
        Measure(rounds, WarmUpRounds, threads, static _ => { }, alternatives);

    /// <inheritdoc cref="Measure(int, int, Action[])"/>
    /// <param name="rounds">Rounds after the warm-up.</param>
    /// <param name="warmUp">Rounds of the warm-up.</param>
    /// <param name="threads">Threads that each alternative uses.</param>
    /// <param name="starting">Called before every round with the number of those that are over; it may throw.</param>
    /// <param name="alternatives">What to run, the reference first.</param>
    public static (double Seconds, double Ratio)[] Measure(
        int rounds, int warmUp, int threads, Action<int> starting, params Action[] alternatives)
    {
        double[][] times = [.. alternatives.Select(_ => new double[rounds])];
        for (int round = -warmUp; round < rounds; round++)
        {
            starting(round + warmUp);
            for (int i = 0; i < alternatives.Length; i++)
            {
                double seconds = Time(alternatives[i], threads);
                if (round >= 0)
                    times[i][round] = seconds;
            }
        }

        return [.. times.Select(t => (Median(t), Median([.. t.Zip(times[0], (own, first) => first / own)])))];
    }

    private static double Time(Action action, int threads)
    {
        TimeSpan processor = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        action();
        TimeSpan wall = Stopwatch.GetElapsedTime(start);
        return ProcessorTime ? (Environment.CpuUsage.TotalTime - processor).TotalSeconds / threads : wall.TotalSeconds;
    }

    /// <summary>The middle one; of an even number the upper of the two.</summary>
    private static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
