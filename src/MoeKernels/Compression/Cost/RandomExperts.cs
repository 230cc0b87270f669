using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Experts of a layer's sizes with random numbers: speed does not depend on what the numbers are.</summary>
internal sealed unsafe class RandomExperts : IDisposable
{
    /// <summary>Experts beyond this share memory: it is more than caches hold, so that weights are read as a model's
    /// are.</summary>
    private const long MostBytes = 64L << 20;

    private readonly NativeBuffer _buffer;
    private readonly Codebook[] _codebooks;

    private RandomExperts(long bytes, Codebook[] codebooks)
    {
        _buffer = NativeBuffer.Allocate(bytes, "random experts");
        _codebooks = codebooks;
    }

    /// <summary>The matrices by the name of their stack.</summary>
    public Dictionary<string, WeightMatrix[]> Views { get; } = new(StringComparer.Ordinal);

    /// <summary>Dense experts.</summary>
    /// <param name="moe">The layer.</param>
    /// <param name="checkpoint">Tells the type of the elements.</param>
    public static RandomExperts Dense(MoeSpec moe, Checkpoint checkpoint)
    {
        WeightFormat format = Format(moe, checkpoint);
        int size = format == WeightFormat.F32 ? sizeof(float) : sizeof(ushort);
        long matrix = ExpertShape.Of(moe).MatrixWeights * size;
        var experts = new RandomExperts(matrix + Math.Min(MostBytes, 3 * matrix * moe.Router.Experts), []);

        // Bytes 0x3C3C are small numbers in all three types.
        new Span<byte>(experts._buffer.Pointer, (int)Math.Min(experts._buffer.ByteLength, int.MaxValue)).Fill(0x3C);
        experts.Fill(moe, matrix, (cell, data) =>
            new WeightMatrix(format, data, cell.Rows, cell.Columns, (nint)cell.Columns * size));
        return experts;
    }

    /// <summary>Coded experts.</summary>
    /// <param name="moe">The layer.</param>
    /// <param name="option">How they are coded.</param>
    public static RandomExperts Coded(MoeSpec moe, CodeOption option)
    {
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        CodebookShape[] shapes = Array.ConvertAll(
            cells, cell => new CodebookShape(cell.Rows, cell.Columns, option.Dimension, option.Stages));
        var codebooks = cells.ToDictionary(cell => cell, cell => Random(option, cell.Columns));
        int rows = shapes.Max(shape => shape.PaddedRows);
        long matrix = shapes.Max(shape => (long)shape.CodeBytes), scales = rows * sizeof(ushort);
        long bytes = matrix + Math.Min(MostBytes, 3 * matrix * moe.Router.Experts);
        var experts = new RandomExperts(scales + bytes, [.. codebooks.Values]);
        new Span<ushort>(experts._buffer.Pointer, rows).Fill(BitConverter.HalfToUInt16Bits((Half)0.01));
        var random = new SmallRandom(1);
        for (long i = scales; i < scales + bytes; i++)
            experts._buffer.Pointer[i] = (byte)random.Below(256);
        experts.Fill(moe, matrix, (cell, data) => WeightMatrix.Codebook(
            data + scales, cell.Rows, cell.Columns, (ushort*)experts._buffer.Pointer, codebooks[cell].Native));
        return experts;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _buffer.Dispose();
        Array.ForEach(_codebooks, codebook => codebook.Dispose());
    }

    private static WeightFormat Format(MoeSpec moe, Checkpoint checkpoint)
    {
        string? name = SourceNames.Of(moe).FirstOrDefault(checkpoint.Contains);
        return name is null ? WeightFormat.BF16 : checkpoint.Get(name).ElementType switch
        {
            ElementType.F32 => WeightFormat.F32,
            ElementType.F16 => WeightFormat.F16,
            _ => WeightFormat.BF16,
        };
    }

    private static Codebook Random(CodeOption option, int columns)
    {
        const int Magnitude = 8;
        var random = new SmallRandom(1);
        sbyte[] vectors = new sbyte[option.Stages * CodebookShape.Vectors * option.Dimension];
        for (int i = 0; i < vectors.Length; i++)
            vectors[i] = (sbyte)(random.Below((2 * Magnitude) + 1) - Magnitude);
        Half[] inputs = new Half[columns];
        Array.Fill(inputs, (Half)1);
        return new Codebook(option.Dimension, option.Stages, vectors, inputs);
    }

    private void Fill(MoeSpec moe, long bytes, MatrixAt at)
    {
        long place = 0, places = Math.Max(Math.Min(MostBytes / bytes, 3L * moe.Router.Experts), 1);
        foreach (Cell cell in StackWalk.Cells(moe, 0))
        {
            Views[cell.Stack] = [.. Enumerable.Range(0, cell.Count).Select(
                _ => at(cell, _buffer.Pointer + (place++ % places * bytes)))];
        }
    }

    private delegate WeightMatrix MatrixAt(Cell cell, byte* data);
}
