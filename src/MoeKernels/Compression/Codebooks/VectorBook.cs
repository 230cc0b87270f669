using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Vectors of all stages as floats, while they are trained and used.</summary>
internal sealed unsafe class VectorBook : IDisposable
{
    private readonly NativeBuffer _buffer;

    /// <summary>Makes a book of zeros.</summary>
    public VectorBook(int dimension, int stages)
    {
        (Dimension, Stages) = (dimension, stages);
        _buffer = NativeBuffer.AllocateZeroed((long)Length * sizeof(float), "a codebook");
    }

    /// <summary>Numbers of a vector.</summary>
    public int Dimension { get; }

    /// <summary>Codes that add up.</summary>
    public int Stages { get; }

    /// <summary>Numbers of all vectors, [stages × 128 × dimension].</summary>
    public int Length => Stages * VectorTable.Count * Dimension;

    /// <summary>All vectors.</summary>
    public Span<float> Numbers => new((float*)_buffer.Pointer, Length);

    /// <summary>Codes of a row of one stage.</summary>
    public int Groups(int columns) => (columns + Dimension - 1) / Dimension;

    /// <summary>One vector.</summary>
    public float* Vector(int stage, int index) =>
        (float*)_buffer.Pointer + (((nint)(stage * VectorTable.Count) + index) * Dimension);

    /// <summary>Multiplies a stage's vectors by a diagonal block of M.</summary>
    /// <param name="stage">Stage.</param>
    /// <param name="block">First number of the block, upper triangular.</param>
    /// <param name="count">Rows of the block, fewer than the dimension in the last group.</param>
    /// <param name="result">Output, [128 × dimension], zero from <paramref name="count"/> on.</param>
    public void TimesBlock(int stage, MatrixView block, int count, float* result)
    {
        new Span<float>(result, VectorTable.Count * Dimension).Clear();
        for (int v = 0; v < VectorTable.Count; v++, result += Dimension)
        {
            float* vector = Vector(stage, v);
            for (int i = 0; i < count; i++)
            {
                float* row = block.Data + (i * block.RowStride);
                for (int j = i; j < count; j++)
                    result[j] += vector[i] * row[j];
            }
        }
    }

    /// <summary>The row that codes stand for, without its scale.</summary>
    /// <param name="codes">Codes of the row, [groups × stages].</param>
    /// <param name="row">Output, [columns].</param>
    public void Decode(byte* codes, Span<float> row)
    {
        for (int first = 0; first < row.Length; first += Dimension)
        {
            Span<float> group = row.Slice(first, Math.Min(Dimension, row.Length - first));
            group.Clear();
            for (int stage = 0; stage < Stages; stage++, codes++)
            {
                float* vector = Vector(stage, *codes & 127);
                float sign = *codes < 128 ? 1 : -1;
                for (int k = 0; k < group.Length; k++)
                    group[k] += sign * vector[k];
            }
        }
    }

    /// <summary>Rounds to multiples of the smallest step with which a <see cref="Codebook"/> takes the
    /// vectors.</summary>
    /// <param name="integers">Output, [stages × 128 × dimension].</param>
    /// <returns>The step; the numbers of this book become multiples of it.</returns>
    public float Round(Span<sbyte> integers)
    {
        float step = SmallestStep();
        do
        {
            for (int i = 0; i < Length; i++)
                integers[i] = (sbyte)Math.Clamp(MathF.Round(Numbers[i] / step), sbyte.MinValue, sbyte.MaxValue);
        }
        while (Codebook.Problem(Dimension, Stages, integers) != null && (step *= 1.002f) > 0);

        for (int i = 0; i < Length; i++)
            Numbers[i] = integers[i] * step;
        return step;
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    private float SmallestStep()
    {
        float step = 0;
        for (int first = 0; first < Length; first += Dimension)
        {
            float norm = 0;
            foreach (float number in Numbers.Slice(first, Dimension))
            {
                norm += MathF.Abs(number);
                step = MathF.Max(step, MathF.Abs(number) / Codebook.MaxMagnitude);
            }

            step = MathF.Max(step, norm / Codebook.MaxNorm);
        }

        return step > 0 ? step : 1;
    }
}
