namespace MoeKernels.Compression;

/// <summary>TokenRows of all calibration tokens at one place of a model, [rows × width].</summary>
internal sealed unsafe class TokenRows : IDisposable
{
    private readonly NativeBuffer _buffer;

    /// <param name="rows">Tokens.</param>
    /// <param name="width">Floats of a row.</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public TokenRows(int rows, int width)
    {
        (Rows, Width) = (rows, width);
        _buffer = NativeBuffer.Allocate(sizeof(float) * (long)rows * width, "calibration activations");
    }

    /// <summary>Tokens.</summary>
    public int Rows { get; }

    /// <summary>Floats of a row.</summary>
    public int Width { get; }

    /// <summary>First float.</summary>
    public float* Data => (float*)_buffer.Pointer;

    /// <summary>One token's floats.</summary>
    public float* Row(int row) => Data + ((nint)row * Width);

    /// <summary>Adds another one's numbers, of the same shape: a layer's outputs to its residual stream.</summary>
    public void Add(TokenRows other)
    {
        for (int row = 0; row < Rows; row++)
            Cpu.Vec.Add(Row(row), other.Row(row), Row(row), Width);
    }

    /// <summary>Takes over another one's numbers.</summary>
    public void CopyFrom(TokenRows other) => Buffer.MemoryCopy(
        other.Data, Data, _buffer.ByteLength, sizeof(float) * (long)Rows * Width);

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();
}
