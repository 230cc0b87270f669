using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>What a <see cref="DenseSource"/> may leave as it is.</summary>
internal enum DenseForm
{
    /// <summary>Every type that has a device kernel.</summary>
    Stored,

    /// <summary>Types without scales.</summary>
    Unscaled,

    /// <summary>Nothing: all becomes fp32.</summary>
    Single,
}

/// <summary>Matrices of one element per weight as the native library takes them: contiguous, in one piece of host
/// memory, scales likewise. It lives while a stack is being placed.</summary>
/// <remarks>What has no device kernel (grouped integers, fp8 whose scale blocks do not meet the cuts between the
/// parts) is widened to fp32, exactly.</remarks>
internal sealed unsafe class DenseSource : IDisposable
{
    private const int Mxfp4Block = 32;

    private readonly NativeBuffer _data;
    private readonly NativeBuffer? _scales;

    /// <summary>Joins parts, one below the other.</summary>
    /// <param name="parts">Matrices of one width, for example gate and up of each expert in turn.</param>
    /// <param name="partRows">Rows of the matrices that the parts make up: fp8 scale blocks begin anew there.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <param name="form">What may stay as it is.</param>
    /// <exception cref="MoeOutOfMemoryException">The host has no room for the copy.</exception>
    public DenseSource(ReadOnlySpan<WeightMatrix> parts, int partRows, string what, DenseForm form = DenseForm.Stored)
    {
        WeightMatrix first = parts[0];
        (BlockRows, BlockColumns) = (128, 128);
        bool scaled = first.Format is not (WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16);
        bool mayStay = form == DenseForm.Stored || (form == DenseForm.Unscaled && !scaled);
        Type = mayStay ? TypeFor(parts, partRows) : moek_dtype.MOEK_F32;
        Widened = Type == moek_dtype.MOEK_F32 && first.Format != WeightFormat.F32;
        long rows = 0;
        foreach (ref readonly WeightMatrix part in parts)
            rows += part.Rows;

        RowBytes = Widened ? first.Columns * (nint)sizeof(float) : DataRowBytes(first);
        _data = NativeBuffer.Allocate(rows * RowBytes, what);
        try
        {
            CopyRows(parts);
            if (Type == moek_dtype.MOEK_F8E4M3)
            {
                (BlockRows, BlockColumns) = (first.BlockRows, first.BlockColumns);
                _scales = CopyBlockScales(parts, what);
            }
            else if (Type == moek_dtype.MOEK_MXFP4)
            {
                _scales = CopyRowScales(parts, rows, what);
            }
        }
        catch
        {
            _data.Dispose();
            throw;
        }
    }

    /// <summary>Stored type.</summary>
    public moek_dtype Type { get; }

    /// <summary>Whether the weights take more memory on the device than in the file.</summary>
    public bool Widened { get; }

    /// <summary>Rows of a scale's block.</summary>
    public int BlockRows { get; }

    /// <summary>Columns of a scale's block.</summary>
    public int BlockColumns { get; }

    /// <summary>First element.</summary>
    public void* Data => _data.Pointer;

    /// <summary>Bytes of the elements.</summary>
    public ulong DataBytes => (ulong)_data.ByteLength;

    /// <summary>First scale, or null.</summary>
    public void* Scales => _scales is null ? null : _scales.Pointer;

    /// <summary>Bytes of the scales.</summary>
    public ulong ScaleBytes => (ulong)(_scales?.ByteLength ?? 0);

    private nint RowBytes { get; }

    /// <summary>The parts as matrices of one shape, for the native library; valid while this lives.</summary>
    public moek_weights_desc Desc(int matrices, int rows, int columns)
    {
        moek_weights_desc desc;
        Moek.moek_weights_desc_init(&desc);
        (desc.matrices, desc.rows, desc.columns, desc.dtype) = (matrices, rows, columns, (int)Type);
        (desc.scale_block_rows, desc.scale_block_columns) = (BlockRows, BlockColumns);
        desc.data = Data;
        desc.data_bytes = DataBytes;
        desc.scales = Scales;
        desc.scale_bytes = ScaleBytes;
        return desc;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _data.Dispose();
        _scales?.Dispose();
    }

    /// <summary>The type that parts keep on a device; fp32 where they have to be widened.</summary>
    public static moek_dtype TypeFor(ReadOnlySpan<WeightMatrix> parts, int partRows) =>
        IsUniform(parts) && HasKernel(parts, partRows) ? TypeOf(parts[0].Format) : moek_dtype.MOEK_F32;

    private static bool IsUniform(ReadOnlySpan<WeightMatrix> parts)
    {
        WeightMatrix first = parts[0];
        foreach (ref readonly WeightMatrix part in parts)
        {
            if (part.Format != first.Format || part.BlockRows != first.BlockRows
                || part.BlockColumns != first.BlockColumns)
            {
                return false;
            }
        }

        return true;
    }

    private static bool HasKernel(ReadOnlySpan<WeightMatrix> parts, int partRows)
    {
        switch (parts[0].Format)
        {
            case WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16:
                return true;
            case WeightFormat.MxFp4:
                return parts[0].Columns % Mxfp4Block == 0;
            case WeightFormat.F8E4M3:
                int row = 0;
                foreach (ref readonly WeightMatrix part in parts)
                {
                    bool endsMatrix = (row + part.Rows) % partRows == 0;
                    if (part.FirstRow % part.BlockRows != 0 || (!endsMatrix && part.Rows % part.BlockRows != 0))
                        return false;
                    row = (row + part.Rows) % partRows;
                }

                return true;
            default:
                return false;
        }
    }

    private static moek_dtype TypeOf(WeightFormat format) => format switch
    {
        WeightFormat.F32 => moek_dtype.MOEK_F32,
        WeightFormat.F16 => moek_dtype.MOEK_F16,
        WeightFormat.BF16 => moek_dtype.MOEK_BF16,
        WeightFormat.F8E4M3 => moek_dtype.MOEK_F8E4M3,
        _ => moek_dtype.MOEK_MXFP4,
    };

    private static nint DataRowBytes(in WeightMatrix matrix) => matrix.Format switch
    {
        WeightFormat.F32 => matrix.Columns * (nint)sizeof(float),
        WeightFormat.F16 or WeightFormat.BF16 => matrix.Columns * (nint)sizeof(ushort),
        WeightFormat.F8E4M3 => matrix.Columns,
        _ => matrix.Columns / 2,
    };

    private void CopyRows(ReadOnlySpan<WeightMatrix> parts)
    {
        byte* target = _data.Pointer;
        foreach (WeightMatrix part in parts)
        {
            byte* begin = target;
            Parallel.For(0, part.Rows, row => CopyRow(part, row, begin + (row * RowBytes)));
            target += part.Rows * RowBytes;
        }
    }

    private void CopyRow(in WeightMatrix part, int row, byte* target)
    {
        if (!Widened)
        {
            Buffer.MemoryCopy(part.Row(row), target, RowBytes, RowBytes);
            return;
        }

        for (int column = 0; column < part.Columns; column++)
            ((float*)target)[column] = WeightElement.Get(part, row, column);
    }

    private static NativeBuffer CopyBlockScales(ReadOnlySpan<WeightMatrix> parts, string what)
    {
        long bytes = 0;
        foreach (ref readonly WeightMatrix part in parts)
            bytes += ScaleRows(part) * part.ScaleRowBytes;

        NativeBuffer scales = NativeBuffer.Allocate(bytes, what);
        byte* target = scales.Pointer;
        foreach (ref readonly WeightMatrix part in parts)
        {
            long size = ScaleRows(part) * part.ScaleRowBytes;
            Buffer.MemoryCopy(
                part.Scales + (part.FirstRow / part.BlockRows * part.ScaleRowBytes), target, size, size);
            target += size;
        }

        return scales;
    }

    private static NativeBuffer CopyRowScales(ReadOnlySpan<WeightMatrix> parts, long rows, string what)
    {
        long width = parts[0].Columns / Mxfp4Block;
        NativeBuffer scales = NativeBuffer.Allocate(rows * width, what);
        byte* target = scales.Pointer;
        foreach (ref readonly WeightMatrix part in parts)
        {
            for (int row = 0; row < part.Rows; row++, target += width)
                Buffer.MemoryCopy(part.Scales + (row * part.ScaleRowBytes), target, width, width);
        }

        return scales;
    }

    private static long ScaleRows(in WeightMatrix part) => (part.Rows + part.BlockRows - 1) / part.BlockRows;
}
