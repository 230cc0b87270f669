using System.Security.Cryptography;
using MoeKernels.Packed;
using MoeKernels.Planning;

namespace MoeKernels.Measuring;

/// <summary>Matrices of one shape and layout with random weights, one behind the other: with enough of them, more bytes
/// than any cache holds.</summary>
internal sealed unsafe class RotatingMatrices : IDisposable
{
    /// <summary>Most matrices: more of them would be so small that only the calls are measured.</summary>
    private const long MaxCount = 1 << 24;

    private readonly NativeBuffer _memory;
    private readonly NativeBuffer _views;
    private readonly Codebook? _codebook;

    /// <summary>Dense matrices.</summary>
    /// <param name="format">F32, F16 or BF16.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="minBytes">Bytes of all matrices together, at least; there is always one.</param>
    public RotatingMatrices(WeightFormat format, int rows, int columns, long minBytes = 288L << 20)
        : this((long)rows * columns * ElementBytes(format), minBytes, null)
    {
        FillDense(_memory.Pointer, TotalBytes / ElementBytes(format), format);
        nint rowBytes = (nint)columns * ElementBytes(format);
        for (int i = 0; i < Count; i++)
            Views[i] = new WeightMatrix(format, _memory.Pointer + (i * MatrixBytes), rows, columns, rowBytes);
    }

    /// <summary>Codebook matrices that share one codebook, each with its codes and row scales.</summary>
    public RotatingMatrices(CodebookShape shape, long minBytes)
        : this(shape.CodeBytes + (sizeof(ushort) * (long)shape.PaddedRows), minBytes, RandomCodebook(shape))
    {
        for (int i = 0; i < Count; i++)
        {
            byte* codes = _memory.Pointer + (i * MatrixBytes);
            FillCodes(codes, shape.CodeBytes);
            var scales = (ushort*)(codes + shape.CodeBytes);
            new Span<Half>(scales, shape.PaddedRows).Fill((Half)0.01);
            Views[i] = WeightMatrix.Codebook(codes, shape.Rows, shape.Columns, scales, _codebook!.Native);
        }
    }

    /// <summary>Copies of one matrix of ternary tiles.</summary>
    /// <param name="matrix">The matrix; only read here.</param>
    /// <param name="minBytes">As above.</param>
    public RotatingMatrices(TernaryTileMatrix matrix, long minBytes)
        : this(matrix.ByteLength, minBytes, null)
    {
        for (int i = 0; i < Count; i++)
            Views[i] = matrix.CopyTo(_memory.Pointer + (i * MatrixBytes));
    }

    private RotatingMatrices(long matrixBytes, long minBytes, Codebook? codebook)
    {
        _codebook = codebook;
        MatrixBytes = matrixBytes;
        long count = Math.Max((minBytes + matrixBytes - 1) / matrixBytes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, MaxCount, nameof(minBytes));
        Count = (int)count;
        TotalBytes = matrixBytes * Count;

        // The system may promise more than it has, and would end the process when the memory is filled.
        if (TotalBytes > HardwareInfo.Detect().AvailableMemoryBytes)
            throw new MoeOutOfMemoryException("benchmark weights", TotalBytes);
        _memory = NativeBuffer.Allocate(TotalBytes, "benchmark weights");
        _views = NativeBuffer.Allocate((long)Count * sizeof(WeightMatrix), "benchmark weights");
    }

    /// <summary>Number of matrices.</summary>
    public int Count { get; }

    /// <summary>Bytes of one matrix, scales included.</summary>
    public long MatrixBytes { get; }

    /// <summary>Bytes of all matrices.</summary>
    public long TotalBytes { get; }

    /// <summary>All their bytes, in the order of <see cref="Views"/>.</summary>
    public byte* Memory => _memory.Pointer;

    /// <summary>The matrices, [<see cref="Count"/>].</summary>
    public WeightMatrix* Views => (WeightMatrix*)_views.Pointer;

    public void Dispose()
    {
        _memory.Dispose();
        _views.Dispose();
        _codebook?.Dispose();
    }

    private static int ElementBytes(WeightFormat format) => format == WeightFormat.F32 ? sizeof(float) : sizeof(ushort);

    private static Codebook RandomCodebook(CodebookShape shape)
    {
        const int Magnitude = 15;
        var random = new Random(shape.Dimension);
        sbyte[] vectors = new sbyte[shape.Stages * CodebookShape.Vectors * shape.Dimension];
        for (int i = 0; i < vectors.Length; i++)
            vectors[i] = (sbyte)random.Next(-Magnitude, Magnitude + 1);
        return new Codebook(shape.Dimension, shape.Stages, vectors);
    }

    private static void FillCodes(byte* codes, long bytes)
    {
        for (long done = 0; done < bytes; done += int.MaxValue)
            RandomNumberGenerator.Fill(new Span<byte>(codes + done, (int)Math.Min(bytes - done, int.MaxValue)));
    }

    private static void FillDense(byte* memory, long count, WeightFormat format)
    {
        ulong state = 88172645463325252;
        for (long i = 0; i < count; i++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            float value = ((state >> 40) * (1f / (1 << 24))) - 0.5f;
            if (format == WeightFormat.F32)
                ((float*)memory)[i] = value;
            else if (format == WeightFormat.F16)
                ((Half*)memory)[i] = (Half)value;
            else
                ((ushort*)memory)[i] = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        }
    }
}
