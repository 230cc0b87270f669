using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

/// <summary>Tests that change the process-wide SIMD level run one after the other.</summary>
[CollectionDefinition("Cpu", DisableParallelization = true)]
public sealed class CpuTests
{
    private static readonly Lazy<WorkerPool[]> Pools =
        new(() => [new WorkerPool(1), new WorkerPool(2), new WorkerPool(3), new WorkerPool(5)]);

    /// <summary>Lengths below, at and above every vector width, and some odd larger ones.</summary>
    internal static int[] Lengths { get; } = [.. Enumerable.Range(0, 71), 127, 128, 129, 255, 511, 513, 1000, 1537];

    /// <summary>Every level this machine can run.</summary>
    internal static IEnumerable<SimdLevel> Levels =>
        Enum.GetValues<SimdLevel>().Where(level => level <= Simd.Best);

    /// <summary>Runs a body once per level, in that level.</summary>
    internal static void AtEveryLevel(Action<SimdLevel> body)
    {
        SimdLevel before = Simd.Level;
        try
        {
            foreach (SimdLevel level in Levels)
            {
                Simd.Level = level;
                body(level);
            }
        }
        finally
        {
            Simd.Level = before;
        }
    }

    /// <summary>Runs a kernel at every level and with 1, 2, 3 and 5 threads; all results must have the bits of
    /// <paramref name="expected"/>.</summary>
    internal static void AssertBits(float[] expected, Func<WorkerPool, float[]> kernel) =>
        AtEveryLevel(level =>
        {
            foreach (WorkerPool pool in Pools.Value)
                AssertBits(expected, kernel(pool), $"{level}, {pool.Threads} threads");
        });

    internal static void AssertBits(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            bool same = BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i])
                || (float.IsNaN(expected[i]) && float.IsNaN(actual[i]));
            if (!same)
                Assert.Fail($"{what}: element {i} is {actual[i]:R}, expected {expected[i]:R}");
        }
    }

    internal static float[] Random(Random random, int count, float scale = 1)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
            values[i] = ((random.NextSingle() * 2) - 1) * scale;
        return values;
    }
}
