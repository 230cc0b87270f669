namespace MoeKernels.Compression;

/// <summary>The factor M of a damped Hessian, <c>D H D + l I = M Mᵀ</c>, where D holds the input scales, with the
/// groups of columns in the order in which they are coded.</summary>
/// <remarks>
/// What is coded early is corrected by everything that follows, so groups with large inputs come first (GPTQ's
/// act-order for groups). A last group that is not full stays last.
/// </remarks>
internal sealed unsafe class DampedFactor : IDisposable
{
    private const int Attempts = 8;
    private const float Growth = 10;
    private readonly NativeBuffer _buffer;
    private readonly int[] _order;

    private DampedFactor(int columns, int groupSize)
    {
        (Columns, GroupSize) = (columns, groupSize);
        _order = [.. Enumerable.Range(0, (columns + groupSize - 1) / groupSize)];
        _buffer = NativeBuffer.Allocate((long)columns * columns * sizeof(float), "the factor of a Hessian");
    }

    /// <summary>K.</summary>
    public int Columns { get; }

    /// <summary>Columns of a group.</summary>
    public int GroupSize { get; }

    /// <summary>The group of the matrix that stands at each place of M.</summary>
    public ReadOnlySpan<int> Order => _order;

    /// <summary>l, in the units of the scaled Hessian.</summary>
    public double Damping { get; private set; }

    /// <summary>M, [K × K], zero below the diagonal.</summary>
    public float* Data => (float*)_buffer.Pointer;

    /// <summary>M as a view.</summary>
    public MatrixView View => new(Data, Columns);

    /// <summary>Factors a Hessian.</summary>
    /// <param name="hessian">H, [K × K], both triangles or the upper one; null stands for the identity.</param>
    /// <param name="columns">K.</param>
    /// <param name="inputScales">Diagonal of D, [K]; empty for the identity.</param>
    /// <param name="damping">l relative to the mean of the diagonal. Where rounding leaves a negative pivot it is
    /// raised tenfold, at most eight times.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="groupSize">Columns that are coded together; 0 leaves the columns in their order.</param>
    /// <exception cref="MoeNonFiniteException">H holds numbers that are not finite.</exception>
    public static DampedFactor Create(
        float* hessian, int columns, ReadOnlySpan<float> inputScales, float damping, Scratch scratch,
        int groupSize = 0)
    {
        DampedFactor factor = new(columns, groupSize == 0 ? columns : groupSize);
        try
        {
            factor.Sort(hessian, inputScales);
            for (int attempt = 0; attempt < Attempts; attempt++, damping = Math.Max(damping, 1e-6f) * Growth)
            {
                double mean = factor.Load(hessian, inputScales);
                if (!double.IsFinite(mean))
                    break;
                factor.Damping = damping * (mean > 0 ? mean : 1);
                for (int i = 0; i < columns; i++)
                    factor.Data[((nint)i * columns) + i] += (float)factor.Damping;
                if (UpperFactor.Factor(factor.Data, columns, columns, scratch) < 0)
                {
                    UpperFactor.ClearLower(factor.Data, columns, columns);
                    return factor;
                }
            }

            throw new MoeNonFiniteException("quantising", "the inputs' moments are not finite");
        }
        catch
        {
            factor.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    /// <summary>Column of the matrix at the start of a group's place.</summary>
    private int First(int place) => _order[place] * GroupSize;

    /// <summary>Orders groups by the sum of their diagonal, largest first.</summary>
    private void Sort(float* hessian, ReadOnlySpan<float> scales)
    {
        if (hessian == null)
            return;

        float[] keys = new float[Columns / GroupSize];
        for (int i = 0; i < keys.Length * GroupSize; i++)
        {
            float scale = scales.IsEmpty ? 1 : scales[i];
            keys[i / GroupSize] -= hessian[((nint)i * Columns) + i] * scale * scale;
        }

        // Equal keys keep their order, so that the result does not depend on the sorting algorithm.
        int[] sorted = [.. Enumerable.Range(0, keys.Length).OrderBy(group => keys[group])];
        sorted.CopyTo(_order, 0);
    }

    /// <summary>Fills the upper triangle with D H D, groups in order.</summary>
    /// <returns>Mean of the diagonal.</returns>
    private double Load(float* hessian, ReadOnlySpan<float> scales)
    {
        double trace = 0;
        for (int row = 0; row < _order.Length; row++)
        {
            for (int column = row; column < _order.Length; column++)
                LoadBlock(hessian, scales, row, column);
        }

        for (int i = 0; i < Columns; i++)
            trace += Data[((nint)i * Columns) + i];
        return trace / Columns;
    }

    /// <summary>Fills the block of two groups from the upper triangle of H.</summary>
    private void LoadBlock(float* hessian, ReadOnlySpan<float> scales, int row, int column)
    {
        (int a, int b) = (First(row), First(column));
        int height = Math.Min(GroupSize, Columns - a), width = Math.Min(GroupSize, Columns - b);
        for (int i = 0; i < height; i++)
        {
            float* target = Data + ((((nint)row * GroupSize) + i) * Columns) + ((nint)column * GroupSize);
            for (int j = row == column ? i : 0; j < width; j++)
            {
                (nint low, nint high) = a + i < b + j ? (a + i, b + j) : (b + j, a + i);
                float value = hessian != null ? hessian[(low * Columns) + high] : low == high ? 1 : 0;
                target[j] = scales.IsEmpty ? value : value * scales[(int)low] * scales[(int)high];
            }
        }
    }
}
