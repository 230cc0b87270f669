namespace MoeKernels.Compression;

/// <summary>The factor M of a damped Hessian, <c>D H D + l I = M Mᵀ</c>, where D holds the input scales.</summary>
internal sealed unsafe class DampedFactor : IDisposable
{
    private const int Attempts = 8;
    private const float Growth = 10;
    private readonly NativeBuffer _buffer;

    private DampedFactor(int columns)
    {
        Columns = columns;
        _buffer = NativeBuffer.Allocate((long)columns * columns * sizeof(float), "the factor of a Hessian");
    }

    /// <summary>K.</summary>
    public int Columns { get; }

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
    /// <exception cref="MoeNonFiniteException">H holds numbers that are not finite.</exception>
    public static DampedFactor Create(
        float* hessian, int columns, ReadOnlySpan<float> inputScales, float damping, Scratch scratch)
    {
        DampedFactor factor = new(columns);
        try
        {
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

    /// <summary>Fills the upper triangle with D H D.</summary>
    /// <returns>Mean of the diagonal.</returns>
    private double Load(float* hessian, ReadOnlySpan<float> scales)
    {
        double trace = 0;
        for (int i = 0; i < Columns; i++)
        {
            float* row = Data + ((nint)i * Columns);
            Span<float> target = new(row + i, Columns - i);
            if (hessian != null)
                new Span<float>(hessian + ((nint)i * Columns) + i, Columns - i).CopyTo(target);
            else
                target.Clear();
            row[i] = hessian == null ? 1 : row[i];
            for (int j = 0; !scales.IsEmpty && j < target.Length; j++)
                target[j] *= scales[i] * scales[i + j];
            trace += row[i];
        }

        return trace / Columns;
    }
}
