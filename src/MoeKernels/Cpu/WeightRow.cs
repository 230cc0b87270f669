namespace MoeKernels.Cpu;

/// <summary>Widens single rows of weights: embeddings, and matrices that are about to be compressed.</summary>
internal static unsafe class WeightRow
{
    /// <summary>Writes a row as <see cref="WeightElement"/> defines it, [columns].</summary>
    public static void Widen(in WeightMatrix w, int row, float* destination)
    {
        byte* stored = w.Row(row);
        switch (w.Format)
        {
            case WeightFormat.F32:
                Buffer.MemoryCopy(stored, destination, w.Columns * sizeof(float), w.Columns * sizeof(float));
                break;
            case WeightFormat.BF16:
                for (int i = 0; i < w.Columns; i++)
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)((ushort*)stored)[i] << 16);
                break;
            case WeightFormat.Codebook:
                CodebookRow.Unpack(w, row, 0, w.Columns, destination);
                break;
            case WeightFormat.GroupedInt:
                IntegerRow.Unpack(w, row, 0, w.Columns, destination);
                break;
            default:
                for (int i = 0; i < w.Columns; i++)
                    destination[i] = WeightElement.Get(w, row, i);
                break;
        }
    }
}
