using MoeKernels.Packed;
using MoeKernels.Tests.Cpu;

namespace MoeKernels.Tests.Packed;

/// <summary>A random codebook matrix in native memory.</summary>
internal sealed unsafe class TestCodebook : IDisposable
{
    private readonly NativeBuffer _codes;
    private readonly NativeBuffer _scales;

    /// <param name="shape">Sizes.</param>
    /// <param name="seed">Seed of the numbers.</param>
    /// <param name="extreme">Whether the first vector goes to the limits of a codebook: it then sets the steps of the
    /// tables, and all others are rounded coarsely.</param>
    /// <param name="inputScales">Whether the inputs have factors.</param>
    public TestCodebook(CodebookShape shape, int seed, bool extreme = true, bool inputScales = false)
    {
        Random random = new(seed);
        Shape = shape;
        Vectors = new Codebook(
            shape.Dimension, shape.Stages, RandomVectors(random, shape, extreme),
            inputScales ? RandomScales(random, shape.Columns) : []);
        byte[] natural = new byte[shape.Rows * shape.Entries];
        random.NextBytes(natural);
        Natural = natural;
        _codes = NativeBuffer.Allocate(shape.CodeBytes, "test codes");
        CodebookMatrix.Pack(shape, natural, _codes.AsSpan<byte>());
        _scales = NativeBuffer.AllocateZeroed(sizeof(ushort) * shape.PaddedRows, "test scales");
        for (int row = 0; row < shape.Rows; row++)
            Scales[row] = row % 7 == 3 ? (ushort)0 : BitConverter.HalfToUInt16Bits((Half)(0.01 + random.NextDouble()));
    }

    public CodebookShape Shape { get; }

    public Codebook Vectors { get; }

    /// <summary>Codes, [rows × entries].</summary>
    public byte[] Natural { get; }

    public Span<byte> Codes => _codes.AsSpan<byte>();

    public Span<ushort> Scales => _scales.AsSpan<ushort>();

    public CodebookMatrix View => new(Shape, _codes.Pointer, (ushort*)_scales.Pointer);

    /// <summary>The matrix as the kernels take it.</summary>
    public WeightMatrix Matrix => MatrixWith(Vectors);

    /// <summary>The matrix with another codebook of the same size.</summary>
    public WeightMatrix MatrixWith(Codebook codebook) => WeightMatrix.Codebook(
        _codes.Pointer, Shape.Rows, Shape.Columns, (ushort*)_scales.Pointer, codebook.Native);

    /// <summary>y of every token by the reference, [tokens × rows].</summary>
    public float[] Reference(ReadOnlySpan<float> x, int xStride, int tokens) =>
        Reference(View, Vectors, x, xStride, tokens);

    public static float[] Reference(
        in CodebookMatrix w, Codebook codebook, ReadOnlySpan<float> x, int xStride, int tokens)
    {
        CodebookShape shape = w.Shape;
        float[] y = new float[tokens * shape.Rows];
        byte[] tables = new byte[shape.Entries * CodebookShape.Vectors];
        float[] steps = new float[shape.Chunks];
        for (int t = 0; t < tokens; t++)
        {
            int start = 0;
            for (int chunk = 0; chunk < shape.Chunks; chunk++)
            {
                int length = shape.EntriesOf(chunk) * CodebookShape.Vectors;
                steps[chunk] = CodebookReference.Table(
                    shape, codebook, chunk, x.Slice(t * xStride, shape.Columns), tables.AsSpan(start, length));
                start += length;
            }

            for (int row = 0; row < shape.Rows; row++)
                y[(t * shape.Rows) + row] = CodebookReference.Row(w, row, tables, steps);
        }

        return y;
    }

    public void Dispose()
    {
        Vectors.Dispose();
        _codes.Dispose();
        _scales.Dispose();
    }

    private static Half[] RandomScales(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (Half)(0.25 + random.NextDouble()))];

    private static sbyte[] RandomVectors(Random random, CodebookShape shape, bool extreme)
    {
        sbyte[] vectors = new sbyte[shape.Stages * CodebookShape.Vectors * shape.Dimension];
        for (int first = 0; first < vectors.Length; first += shape.Dimension)
        {
            int left = Codebook.MaxNorm;
            for (int k = 0; k < shape.Dimension; k++)
            {
                int wanted = extreme && first == 0 ? Codebook.MaxMagnitude : random.Next(17);
                int magnitude = Math.Min(wanted, left);
                left -= magnitude;
                vectors[first + k] = (sbyte)(random.Next(2) == 0 ? magnitude : -magnitude);
            }
        }

        return vectors;
    }
}
