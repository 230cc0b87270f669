namespace MoeKernels.Models.Loading;

/// <summary>Copies matrices stored as [inputs × outputs] into owned memory as [outputs × inputs], in their stored
/// width.</summary>
internal static unsafe class WeightTransposer
{
    /// <summary>Rows and columns of a tile: both sides of it stay in the first-level cache.</summary>
    private const int Tile = 64;

    /// <summary>Transposes each matrix.</summary>
    /// <exception cref="MoeUnsupportedException">The format keeps scales beside its elements.</exception>
    public static WeightMatrix[] Transpose(WeightMatrix[] stored, ModelMemory memory, string name)
    {
        var results = new WeightMatrix[stored.Length];
        if (stored.Length == 0)
            return results;

        int width = stored[0].Format switch
        {
            WeightFormat.F32 => 4,
            WeightFormat.F16 or WeightFormat.BF16 => 2,
            _ => throw new MoeUnsupportedException($"transposed experts in {stored[0].Format}", name),
        };
        (int inputs, int outputs) = (stored[0].Rows, stored[0].Columns);
        nint matrixBytes = (nint)inputs * outputs * width;
        nint memoryStart = (nint)memory.Allocate<byte>(matrixBytes * stored.Length, name);
        Parallel.For(0, stored.Length, e =>
        {
            byte* target = (byte*)memoryStart + (e * matrixBytes);
            if (width == 4)
                Transpose(stored[e].Data, stored[e].RowBytes, (uint*)target, inputs, outputs);
            else
                Transpose(stored[e].Data, stored[e].RowBytes, (ushort*)target, inputs, outputs);
            results[e] = new WeightMatrix(stored[e].Format, target, outputs, inputs, (nint)inputs * width);
        });
        return results;
    }

    /// <summary>Transposes one matrix.</summary>
    /// <typeparam name="T">An element.</typeparam>
    /// <param name="source">[rows × columns].</param>
    /// <param name="rowBytes">Distance between two rows of the source in bytes.</param>
    /// <param name="target">Receives [columns × rows], contiguous.</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    public static void Transpose<T>(byte* source, nint rowBytes, T* target, int rows, int columns)
        where T : unmanaged
    {
        for (int r0 = 0; r0 < rows; r0 += Tile)
        {
            for (int c0 = 0; c0 < columns; c0 += Tile)
            {
                int r1 = Math.Min(r0 + Tile, rows);
                int c1 = Math.Min(c0 + Tile, columns);
                for (int c = c0; c < c1; c++)
                {
                    for (int r = r0; r < r1; r++)
                        target[((nint)c * rows) + r] = ((T*)(source + (r * rowBytes)))[c];
                }
            }
        }
    }
}
