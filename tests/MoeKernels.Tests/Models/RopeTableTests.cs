using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using Xunit;

namespace MoeKernels.Tests.Models;

public sealed unsafe class RopeTableTests
{
    // Computed in double precision from the formulas of the YaRN paper and of Llama-3.1.
    [Fact]
    public void Compute_Yarn_BlendsBetweenFastAndSlowFrequencies()
    {
        RopeSpec spec = new(10000, 16) { Scaling = RopeScaling.Yarn, Factor = 8, OriginalContext = 512 };

        AssertFrequencies(
            [1, 0.247052942, 0.05625, 0.0108703295, 0.00125, 0.000395284708, 0.000125, 3.95284708e-05], spec);
    }

    [Fact]
    public void Compute_YarnWithoutTruncation_KeepsTheFractionOfTheRange()
    {
        RopeSpec spec = new(150000, 16)
        {
            Scaling = RopeScaling.Yarn,
            Factor = 32,
            OriginalContext = 4096,
            Truncate = false,
        };

        AssertFrequencies(
            [1, 0.225418, 0.0508132748, 0.00679495949, 0.000456483919, 1.81883367e-05, 4.09997848e-06, 9.2420895e-07],
            spec);
    }

    [Fact]
    public void Compute_Llama3_BlendsByWavelength()
    {
        RopeSpec spec = new(500000, 16)
        {
            Scaling = RopeScaling.Llama3,
            Factor = 8,
            LowFrequencyFactor = 1,
            HighFrequencyFactor = 4,
            OriginalContext = 8192,
        };

        AssertFrequencies(
            [
                1, 0.193922745, 0.0376060309, 0.00729266474, 0.000524846161, 3.4281022e-05, 6.64786987e-06,
                1.28917317e-06,
            ],
            spec);
    }

    [Fact]
    public void Compute_Linear_DividesEveryFrequency()
    {
        RopeSpec spec = new(10000, 8) { Scaling = RopeScaling.Linear, Factor = 4 };

        AssertFrequencies([0.25, 0.025, 0.0025, 0.00025], spec);
    }

    [Fact]
    public void Compute_RoundedToBFloat16_KeepsEightBitsOfTheScaledFrequencies()
    {
        RopeSpec spec = new(10000, 8) { Scaling = RopeScaling.Linear, Factor = 4, RoundToBFloat16 = true };

        AssertFrequencies([0.25, 0.025024414, 0.0025024414, 0.00024986267], spec);
    }

    [Theory]
    [InlineData(64, 10000)]
    [InlineData(100, 10000)]
    [InlineData(150, 25198.42099789746)] // 10000 * (2 * 1.5 - 1)^(8 / 6)
    [InlineData(200, 43267.48710922225)] // 10000 * 3^(8 / 6)
    public void Compute_Dynamic_GrowsTheBaseWithTheLength(int length, double theta)
    {
        RopeSpec spec = new(10000, 8) { Scaling = RopeScaling.Dynamic, Factor = 2, OriginalContext = 100 };
        double[] expected = [.. Enumerable.Range(0, 4).Select(i => Math.Pow(theta, -i / 4.0))];

        AssertFrequencies(expected, spec, length);
    }

    [Fact]
    public void SinCos_AllQuadrantsAndLargeAngles_MatchTheLibrary()
    {
        Random random = new(7);
        for (int i = 0; i < 20000; i++)
        {
            double x = (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-6, 8)));
            (double sin, double cos) = RopeAngles.SinCos(x);
            Assert.Equal(Math.Sin(x), sin, 1e-14);
            Assert.Equal(Math.Cos(x), cos, 1e-14);
        }
    }

    [Fact]
    public void TakeAngles_AcrossBlocks_AreThoseOfEachPosition()
    {
        RopeSpec spec = new(10000, 6) { AttentionFactor = 1.25 };
        using RopeTable table = new(spec);

        float[] angles = Angles(table, 6, 2, (250, 20), (1000, 3));

        for (int row = 0; row < 23; row++)
        {
            int position = row < 20 ? 250 + row : 1000 + row - 20;
            for (int i = 0; i < 3; i++)
            {
                double angle = position * Math.Pow(10000, -i / 3.0);
                Assert.Equal(1.25 * Math.Cos(angle), angles[(row * 6) + i], 1e-4);
                Assert.Equal(1.25 * Math.Sin(angle), angles[(row * 6) + 3 + i], 1e-4);
            }
        }
    }

    [Fact]
    public void TakeAngles_FromManyThreads_AgreeBitForBit()
    {
        RopeSpec spec = new(10000, 8);
        using RopeTable alone = new(spec);
        float[] expected = Angles(alone, 8, 1, (0, 3000));
        using RopeTable shared = new(spec);

        float[][] results = [.. Enumerable.Range(0, 8).AsParallel().WithDegreeOfParallelism(8)
            .Select(_ => Angles(shared, 8, 1, (0, 3000)))];

        Assert.All(results, angles => Assert.Equal(expected, angles));
    }

    [Fact]
    public void TakeAngles_DynamicBeyondTheOriginalContext_UsesEachSequencesOwnLength()
    {
        RopeSpec spec = new(10000, 8) { Scaling = RopeScaling.Dynamic, Factor = 2, OriginalContext = 16 };
        using RopeTable table = new(spec);
        using RopeTable plain = new(new RopeSpec(10000, 8));

        float[] both = Angles(table, 8, 2, (0, 10), (20, 4));

        Assert.Equal(Angles(plain, 8, 1, (0, 10)), both[..80]);
        float[] expected = new float[32];
        float[] frequencies = new float[4];
        RopeFrequencies.Compute(spec, 24, frequencies);
        fixed (float* target = expected)
        {
            for (int row = 0; row < 4; row++)
                RopeAngles.Compute(frequencies, 20 + row, 1, target + (row * 8));
        }

        Assert.Equal(expected, both[80..]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Rotate_StridedHeads_TurnsThePairsAndNothingElse(bool interleaved)
    {
        const int Rows = 3, Heads = 2, HeadDim = 10, Rotated = 6;
        using RopeTable table = new(new RopeSpec(100, Rotated, interleaved));
        float[] angles = Angles(table, Rotated, 1, (5, Rows));
        float[] x = [.. Enumerable.Range(0, Rows * Heads * HeadDim).Select(i => MathF.Sin(i))];
        float[] y = [.. x];
        using WorkerPool pool = new(2);

        fixed (float* a = angles, p = y)
            table.Rotate(pool, a, p + 2, Rows, Heads * HeadDim, Heads, HeadDim);

        for (int i = 0; i < x.Length; i++)
        {
            int row = i / (Heads * HeadDim);
            int element = (i % HeadDim) - 2;
            if (element is < 0 or >= Rotated)
            {
                Assert.Equal(x[i], y[i]);
                continue;
            }

            int pair = interleaved ? element / 2 : element % 3;
            bool second = interleaved ? element % 2 == 1 : element >= 3;
            int other = i + ((interleaved ? 1 : 3) * (second ? -1 : 1));
            double angle = (5 + row) * Math.Pow(100, -pair / 3.0);
            double expected = (x[i] * Math.Cos(angle)) + ((second ? 1 : -1) * x[other] * Math.Sin(angle));
            Assert.Equal(expected, y[i], 1e-5);
        }
    }

    private static void AssertFrequencies(double[] expected, RopeSpec spec, int length = 1)
    {
        float[] actual = new float[expected.Length];
        RopeFrequencies.Compute(spec, length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(1, actual[i] / expected[i], 1e-6);
    }

    private static float[] Angles(
        RopeTable table, int dimensions, int sequences, params (int Position, int Rows)[] parts)
    {
        Assert.Equal(sequences, parts.Length);
        int rows = parts.Sum(part => part.Rows);
        using Workspace workspace = new(Workspace.Rounded((long)rows * dimensions));
        using WorkerPool pool = new(1);
        ForwardContext context = new(pool, workspace);
        foreach ((int position, int count) in parts)
        {
            SequenceState state = new([], position + count);
            state.Advance(position);
            context.Batch.Add(state, count);
        }

        return new Span<float>(table.TakeAngles(context), rows * dimensions).ToArray();
    }
}
