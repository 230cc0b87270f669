using System.Runtime.InteropServices;

namespace MoeKernels.Compression;

/// <summary>Some rows of a training matrix with everything a round needs.</summary>
internal sealed unsafe class TrainingRows : IDisposable
{
    private readonly NativeBuffer _buffer;
    private readonly float* _wanted;
    private byte[] _codes = [];
    private GCHandle _pin;

    /// <summary>Takes rows spread evenly over the matrix.</summary>
    public TrainingRows(
        TrainingSample sample, int rows, float[] inputScales, CodebookOptions options, Scratch scratch)
    {
        int columns = inputScales.Length;
        long numbers = (long)rows * columns;
        Weights = new float[rows];
        Factor = DampedFactor.Create(sample.Hessian, columns, inputScales, options.Damping, scratch, options.Dimension);
        _buffer = NativeBuffer.Allocate(3 * numbers * sizeof(float), "rows to train a codebook on");
        Rows = (float*)_buffer.Pointer;
        _wanted = Rows + numbers;
        Error = _wanted + numbers;
        for (int i = 0; i < rows; i++)
        {
            nint row = (nint)((long)i * sample.Rows / rows);
            Weights[i] = NormalizedRows.Fill(
                sample.Target + (row * columns), inputScales, Factor, Rows + ((nint)i * columns));
            Weights[i] *= Weights[i];
        }

        NormalizedRows.TimesFactor(Rows, rows, Factor, _wanted, scratch);
    }

    /// <summary>Factor of the Hessian.</summary>
    public DampedFactor Factor { get; }

    /// <summary>Rows divided by their scales, [rows × K].</summary>
    public float* Rows { get; }

    /// <summary>Errors in the metric, [rows × K].</summary>
    public float* Error { get; }

    /// <summary>What a row counts: the square of its scale, [rows].</summary>
    public float[] Weights { get; }

    /// <summary>Codes, [rows × groups × stages].</summary>
    public byte* Codes => (byte*)_pin.AddrOfPinnedObject();

    /// <summary>Chooses codes and leaves the errors.</summary>
    public void Choose(VectorBook book, int beams, Scratch scratch)
    {
        int columns = Factor.Columns;
        if (_codes.Length == 0)
        {
            _codes = new byte[(long)Weights.Length * book.Groups(columns) * book.Stages];
            _pin = GCHandle.Alloc(_codes, GCHandleType.Pinned);
        }

        long bytes = (long)Weights.Length * columns * sizeof(float);
        Buffer.MemoryCopy(_wanted, Error, bytes, bytes);
        VectorGptq.Run(Factor, book, beams, Error, Weights.Length, Codes, scratch);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_pin.IsAllocated)
            _pin.Free();
        _buffer.Dispose();
        Factor.Dispose();
    }
}
