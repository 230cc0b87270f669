using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Table building without vector registers.</summary>
internal static unsafe class TableBodySoftware
{
    /// <inheritdoc cref="TableBody512.Dots"/>
    public static int Dots(in TableSource source, int groups, byte* inputs, short* weights, short* dots)
    {
        int largest = 0;
        for (int group = 0; group < groups; group++, inputs += source.Dimension)
        {
            for (int stage = 0; stage < source.Stages; stage++, dots += CodebookShape.Vectors)
            {
                sbyte* numbers = source.Pairs(stage);
                for (int index = 0; index < CodebookShape.Vectors; index++)
                {
                    int sum = Dot(numbers + (2 * index), source.PairCount, inputs) * weights[group];
                    sum = (sum + (1 << 14)) >> 15;
                    dots[index] = (short)sum;
                    largest = Math.Max(largest, Math.Abs(sum));
                }
            }
        }

        return largest;
    }

    /// <inheritdoc cref="TableBody512.Round"/>
    public static void Round(short* dots, int count, short factor, byte* table)
    {
        for (int i = 0; i < count; i++)
            table[i] = (byte)(((dots[i] * factor) >> 16) + 128);
    }

    private static int Dot(sbyte* numbers, int pairs, byte* inputs)
    {
        int sum = 0;
        for (int k = 0; k < pairs; k++, numbers += 2 * CodebookShape.Vectors)
        {
            sum += numbers[0] * (inputs[2 * k] - InputRounding.Zero);
            sum += numbers[1] * (inputs[(2 * k) + 1] - InputRounding.Zero);
        }

        return sum;
    }
}
