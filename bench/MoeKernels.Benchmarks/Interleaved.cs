using System.Diagnostics;

namespace MoeKernels.Benchmarks;

/// <summary>Times alternatives in turn, round after round, so that a disturbance of the machine meets all of them.</summary>
internal static class Interleaved
{
    private const int WarmUpRounds = 2;

    /// <summary>Median wall-clock seconds of each alternative, and the median over the rounds of its speed relative to
    /// the first one in the same round.</summary>
    public static (double Seconds, double Ratio)[] Measure(int rounds, params Action[] alternatives)
    {
        double[][] times = [.. alternatives.Select(_ => new double[rounds])];
        for (int round = -WarmUpRounds; round < rounds; round++)
        {
            for (int i = 0; i < alternatives.Length; i++)
            {
                long start = Stopwatch.GetTimestamp();
                alternatives[i]();
                if (round >= 0)
                    times[i][round] = Stopwatch.GetElapsedTime(start).TotalSeconds;
            }
        }

        return [.. times.Select(t => (Median(t), Median([.. t.Zip(times[0], (own, first) => first / own)])))];
    }

    /// <summary>The middle one; of an even number the upper of the two.</summary>
    public static double Median(double[] values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
