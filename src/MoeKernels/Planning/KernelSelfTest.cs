using MoeKernels.Cpu;

namespace MoeKernels.Planning;

/// <summary>Runs the linear kernel on fixed numbers and compares it, bit by bit, with plain loops in the promised order
/// of summation: a processor or emulator that computes differently shows here and not as a wrong text.</summary>
internal static unsafe class KernelSelfTest
{
    private const int Rows = 37;
    private const int Columns = 203;
    private const int Tokens = 5;
    private const int Lanes = 16;

    /// <summary>Describes the first wrong number; null when there is none.</summary>
    public static string? FirstDifference()
    {
        ushort[] weights = [.. Numbers(1, Rows * Columns).Select(ToBFloat16)];
        float[] inputs = [.. Numbers(2, Tokens * Columns)];
        float[] outputs = new float[Tokens * Rows];
        using var pool = new WorkerPool(1);
        fixed (ushort* w = weights)
        fixed (float* x = inputs, y = outputs)
        {
            var matrix = new WeightMatrix(WeightFormat.BF16, w, Rows, Columns, Columns * sizeof(ushort));
            Linear.Forward(pool, matrix, null, x, Columns, Tokens, y, Rows);
        }

        for (int i = 0; i < outputs.Length; i++)
        {
            float expected = Dot(
                weights.AsSpan(i % Rows * Columns, Columns), inputs.AsSpan(i / Rows * Columns, Columns));
            if (BitConverter.SingleToInt32Bits(expected) != BitConverter.SingleToInt32Bits(outputs[i]))
            {
                return $"linear kernel: row {i % Rows} of token {i / Rows} is {outputs[i]:R} instead of {expected:R}";
            }
        }

        return null;
    }

    /// <summary>The promised order: 16 sums by column mod 16, then a fixed tree.</summary>
    private static float Dot(ReadOnlySpan<ushort> weights, ReadOnlySpan<float> inputs)
    {
        Span<float> sums = stackalloc float[Lanes];
        sums.Clear();
        for (int k = 0; k < weights.Length; k++)
        {
            float weight = BitConverter.UInt32BitsToSingle((uint)weights[k] << 16);
            sums[k % Lanes] = MathF.FusedMultiplyAdd(weight, inputs[k], sums[k % Lanes]);
        }

        for (int half = Lanes / 2; half > 0; half /= 2)
        {
            for (int j = 0; j < half; j++)
            {
                sums[j] += sums[j + half];
            }
        }

        return sums[0];
    }

    private static ushort ToBFloat16(float value) => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);

    private static IEnumerable<float> Numbers(int seed, int count)
    {
        var random = new Random(seed);
        return Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1);
    }
}
