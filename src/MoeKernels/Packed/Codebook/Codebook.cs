namespace MoeKernels.Packed;

/// <summary>The vectors that codes stand for, shared by all matrices that multiply the same input.</summary>
/// <remarks>Immutable and thread-safe until it is disposed.</remarks>
internal sealed unsafe class Codebook : IDisposable
{
    /// <summary>Largest magnitude of a number: two products with bytes then fit in 16 bits.</summary>
    public const int MaxMagnitude = 64;

    /// <summary>Largest sum of magnitudes of a vector: its product with int8 inputs then fits in 16 bits.</summary>
    public const int MaxNorm = 257;

    /// <summary>A table's dot products count inputs from -128 on; this takes the surplus away.</summary>
    private const int InputBias = 128;

    private static readonly Half SmallestScale = BitConverter.UInt16BitsToHalf(0x0400);

    private readonly sbyte[] _vectors;
    private readonly Half[] _inputScales;
    private readonly NativeBuffer _buffer;

    /// <summary>Takes vectors over.</summary>
    /// <param name="dimension">Numbers of a vector.</param>
    /// <param name="stages">Number of codebooks.</param>
    /// <param name="vectors">[stages × 128 × dimension].</param>
    /// <param name="inputScales">Factors of the inputs, one per column; empty for ones.</param>
    /// <exception cref="ArgumentException">A size is out of range, <see cref="Problem"/> finds one, or a factor is not
    /// positive and normal.</exception>
    public Codebook(
        int dimension, int stages, ReadOnlySpan<sbyte> vectors, ReadOnlySpan<Half> inputScales = default)
    {
        if (Problem(dimension, stages, vectors) is { } problem)
            throw new ArgumentException(problem, nameof(vectors));
        if (inputScales.ContainsAnyExceptInRange(SmallestScale, Half.MaxValue))
            throw new ArgumentException("A factor is not positive and normal.", nameof(inputScales));

        (Dimension, Stages) = (dimension, stages);
        _vectors = vectors.ToArray();
        _inputScales = inputScales.ToArray();
        int pairBytes = stages * PairCount * 2 * CodebookShape.Vectors;
        int biasBytes = sizeof(short) * stages * CodebookShape.Vectors;
        _buffer = NativeBuffer.AllocateZeroed(
            pairBytes + biasBytes + (sizeof(float) * inputScales.Length) + sizeof(CodebookVectors), "a codebook");
        Native = (CodebookVectors*)(_buffer.Pointer + pairBytes + biasBytes + (sizeof(float) * inputScales.Length));
        *Native = new CodebookVectors
        {
            Dimension = dimension,
            Stages = stages,
            Pairs = (sbyte*)_buffer.Pointer,
            Bias = (short*)(_buffer.Pointer + pairBytes),
            InputScales = inputScales.IsEmpty ? null : (float*)(_buffer.Pointer + pairBytes + biasBytes),
        };
        FillPairs();
        for (int i = 0; i < inputScales.Length; i++)
            Native->InputScales[i] = (float)inputScales[i];
    }

    /// <summary>Numbers of a vector.</summary>
    public int Dimension { get; }

    /// <summary>Number of codebooks.</summary>
    public int Stages { get; }

    /// <summary>Pairs of numbers of a vector, the last one filled up with zero.</summary>
    public int PairCount => (Dimension + 1) / 2;

    /// <summary>The codebook as kernels read it; pairs and biases are aligned to 64 bytes.</summary>
    internal CodebookVectors* Native { get; }

    /// <summary>The numbers in pairs, [stages × pairs × 128 × 2].</summary>
    internal sbyte* Pairs => Native->Pairs;

    /// <summary>-128 times the sum of each vector, [stages × 128].</summary>
    internal short* Bias => Native->Bias;

    /// <summary>Factors of the inputs, [columns], or empty.</summary>
    public ReadOnlySpan<Half> InputScales => _inputScales;

    /// <summary>All vectors, [stages × 128 × dimension].</summary>
    public ReadOnlySpan<sbyte> Vectors => _vectors;

    /// <summary>What keeps numbers from being a codebook; null when nothing does.</summary>
    public static string? Problem(int dimension, int stages, ReadOnlySpan<sbyte> vectors)
    {
        if (dimension is < 1 or > CodebookShape.MaxDimension || stages is < 1 or > CodebookShape.MaxStages)
            return $"a codebook of {stages} × {CodebookShape.Vectors} vectors of {dimension} numbers is out of range";
        if (vectors.Length != stages * CodebookShape.Vectors * dimension)
            return $"{vectors.Length} numbers do not fill {stages} × {CodebookShape.Vectors} × {dimension}";

        for (int first = 0; first < vectors.Length; first += dimension)
        {
            int norm = 0;
            foreach (sbyte number in vectors.Slice(first, dimension))
            {
                if (Math.Abs((int)number) > MaxMagnitude)
                    return $"{number} exceeds the largest magnitude {MaxMagnitude}";
                norm += Math.Abs((int)number);
            }

            if (norm > MaxNorm)
                return $"the magnitudes of vector {first / dimension} add up to {norm}, more than {MaxNorm}";
        }

        return null;
    }

    /// <summary>One vector.</summary>
    public ReadOnlySpan<sbyte> Vector(int stage, int index) =>
        Vectors.Slice(((stage * CodebookShape.Vectors) + index) * Dimension, Dimension);

    /// <summary>Frees the numbers; no kernel may be using them.</summary>
    public void Dispose() => _buffer.Dispose();

    private void FillPairs()
    {
        for (int vector = 0; vector < Stages * CodebookShape.Vectors; vector++)
        {
            (int stage, int index) = Math.DivRem(vector, CodebookShape.Vectors);
            ReadOnlySpan<sbyte> numbers = Vector(stage, index);
            int sum = 0;
            for (int k = 0; k < Dimension; k++)
            {
                int pair = (stage * PairCount) + (k / 2);
                Pairs[(((pair * CodebookShape.Vectors) + index) * 2) + (k % 2)] = numbers[k];
                sum += numbers[k];
            }

            // The exact value may need 17 bits; kernels add modulo 2^16 and only their results fit.
            Bias[vector] = unchecked((short)(-InputBias * sum));
        }
    }
}
