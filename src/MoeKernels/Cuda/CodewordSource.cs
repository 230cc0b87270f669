using MoeKernels.Interop;
using MoeKernels.Packed;

namespace MoeKernels.Cuda;

/// <summary>Ternary matrices in QMoE's codewords, which device kernels read; the CPU's resident tiles are turned back
/// into them. It lives while a stack is being placed.</summary>
internal sealed unsafe class CodewordSource : IDisposable
{
    private readonly NativeBuffer _memory;

    /// <summary>Encodes the matrices of a stack.</summary>
    /// <param name="matrices">Ternary tiles of one shape.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="MoeUnsupportedException">The matrices differ in their shapes.</exception>
    /// <exception cref="MoeOutOfMemoryException">The host has no room for the codewords.</exception>
    public CodewordSource(ReadOnlySpan<WeightMatrix> matrices, string what)
    {
        (int rows, int columns) = (matrices[0].Rows, matrices[0].Columns);
        foreach (ref readonly WeightMatrix matrix in matrices)
        {
            if (matrix.Format != WeightFormat.TernaryTiles || matrix.Rows != rows || matrix.Columns != columns)
                throw new MoeUnsupportedException($"ternary experts of several shapes on a device ({what})");
        }

        WeightMatrix[] all = matrices.ToArray();
        var coded = new (ushort[] Codes, int[] Ends)[all.Length];
        Parallel.For(0, all.Length, e => coded[e] = Encode(all[e]));

        long rowCount = (long)all.Length * rows;
        long total = coded.Sum(matrix => (long)matrix.Codes.Length);
        _memory = NativeBuffer.Allocate(
            (sizeof(long) * (rowCount + 1)) + (2 * sizeof(ushort) * rowCount) + (sizeof(ushort) * total), what);
        long* offsets = (long*)_memory.Pointer;
        ushort* levels = (ushort*)(offsets + rowCount + 1);
        ushort* codes = levels + (2 * rowCount);
        long first = 0;
        for (int e = 0; e < all.Length; e++)
        {
            long row = (long)e * rows;
            new ReadOnlySpan<ushort>(all[e].Scales, 2 * rows).CopyTo(new(levels + (2 * row), 2 * rows));
            coded[e].Codes.CopyTo(new Span<ushort>(codes + first, coded[e].Codes.Length));
            offsets[row] = first;
            for (int r = 0; r < rows; r++)
                offsets[row + r + 1] = first + coded[e].Ends[r];
            first += coded[e].Codes.Length;
        }

        moek_qmoe_desc desc;
        Moek.moek_qmoe_desc_init(&desc);
        (desc.rows, desc.columns, desc.matrices) = (rows, columns, all.Length);
        desc.codewords = codes;
        desc.row_offsets = offsets;
        desc.min_max = levels;
        Desc = desc;
    }

    /// <summary>The stack; its pointers are valid until this object is disposed.</summary>
    public moek_qmoe_desc Desc { get; }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    /// <summary>Codewords of all rows, and where each row's end.</summary>
    private static (ushort[] Codes, int[] Ends) Encode(in WeightMatrix matrix)
    {
        List<ushort> codes = [];
        int[] ends = new int[matrix.Rows];
        float[] values = new float[matrix.Columns];
        byte[] symbols = new byte[matrix.Columns];
        fixed (float* row = values)
        {
            for (int r = 0; r < matrix.Rows; r++)
            {
                TernaryTileRow.Unpack(matrix, r, 0, matrix.Columns, row);
                float low = BitConverter.Int32BitsToSingle(((ushort*)matrix.Scales)[2 * r] << 16);
                for (int k = 0; k < values.Length; k++)
                    symbols[k] = (byte)(values[k] == 0 ? 0 : values[k] == low ? 1 : 2);
                QmoeEncoder.EncodeRow(symbols, codes);
                ends[r] = codes.Count;
            }
        }

        return ([.. codes], ends);
    }
}
