using System.Runtime.InteropServices;

namespace MoeKernels.Compression;

/// <summary>
/// What GPTQ needs of a Hessian H: an order of the columns and the upper triangle U with <c>UᵀU</c> the inverse of
/// the damped, reordered H. Matrices with the same inputs (gate and up) share it.
/// </summary>
/// <remarks>Computed by one thread; read by any number.</remarks>
internal sealed unsafe class ScalarFactor : IDisposable
{
    /// <summary>The smallest damping, for inputs that are all zero.</summary>
    private const float SmallestDamping = 1e-6f;

    private readonly NativeBuffer _upper;
    private readonly int[] _order;

    private ScalarFactor(int columns)
    {
        Columns = columns;
        _upper = NativeBuffer.Allocate(sizeof(float) * (long)columns * columns, "the factor of a Hessian");
        _order = [.. Enumerable.Range(0, columns)];
    }

    /// <summary>Inputs of the matrices.</summary>
    public int Columns { get; }

    /// <summary>Whether H had no factor, so that columns are rounded to the nearest values.</summary>
    public bool FellBack { get; private set; }

    /// <summary>Column of the matrix at each step.</summary>
    public ReadOnlySpan<int> Order => _order;

    /// <summary>U, [columns, columns]; what is below the diagonal is undefined.</summary>
    public float* Upper => (float*)_upper.Pointer;

    /// <summary>Orders, damps and factors a Hessian.</summary>
    /// <param name="hessian">H [columns, columns], kept as it is; null without tokens, which means the
    /// identity.</param>
    /// <param name="columns">Inputs.</param>
    /// <param name="options">Damping and order.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="order">The order to use in place of the sorted diagonal, a permutation; empty for none.</param>
    /// <exception cref="ArgumentException">An option or the order is not valid.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public static ScalarFactor Create(
        float* hessian, int columns, ScalarOptions options, Scratch scratch, ReadOnlySpan<int> order = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(columns, 1);
        options.Validate();
        var factor = new ScalarFactor(columns);
        if (!order.IsEmpty)
            factor.Take(order);
        else if (options.ActOrder && hessian != null)
            factor.SortByDiagonal(hessian);

        if (hessian == null)
            factor.SetDiagonal(1 / MathF.Sqrt(1 + MathF.Max(options.Damping, SmallestDamping)));
        else if (!factor.TryFactor(hessian, Damp(hessian, columns, options.Damping), scratch))
            factor.FallBack();

        return factor;
    }

    /// <summary>Frees U.</summary>
    public void Dispose() => _upper.Dispose();

    private static float Damp(float* hessian, int columns, float share)
    {
        double sum = 0;
        for (int i = 0; i < columns; i++)
            sum += hessian[((nint)i * columns) + i];
        return MathF.Max(share * (float)(sum / columns), SmallestDamping);
    }

    private void Take(ReadOnlySpan<int> order)
    {
        order.CopyTo(_order.AsSpan(0, Math.Min(order.Length, Columns)));
        var sorted = order.ToArray();
        Array.Sort(sorted);
        if (!sorted.AsSpan().SequenceEqual([.. Enumerable.Range(0, Columns)]))
            throw new ArgumentException($"The order is no permutation of {Columns} columns.", nameof(order));
    }

    private void SortByDiagonal(float* hessian)
    {
        var keys = new float[Columns];
        for (int i = 0; i < Columns; i++)
            keys[i] = hessian[((nint)i * Columns) + i];
        Array.Sort(_order, (a, b) => keys[a] != keys[b] ? keys[b].CompareTo(keys[a]) : a.CompareTo(b));
    }

    private void FallBack()
    {
        FellBack = true;
        SetDiagonal(1);
    }

    private void SetDiagonal(float value)
    {
        NativeMemory.Clear(Upper, (nuint)_upper.ByteLength);
        for (int i = 0; i < Columns; i++)
            Upper[((nint)i * Columns) + i] = value;
    }

    private bool TryFactor(float* hessian, float damping, Scratch scratch)
    {
        for (int i = 0; i < Columns; i++)
        {
            float* row = Upper + ((nint)i * Columns);
            float* source = hessian + ((nint)_order[i] * Columns);
            for (int j = i; j < Columns; j++)
                row[j] = source[_order[j]];
            row[i] += damping;
        }

        if (UpperFactor.Factor(Upper, Columns, Columns, scratch) >= 0)
            return false;

        UpperFactor.Invert(Upper, Columns, Columns, scratch);
        for (int i = 0; i < Columns; i++)
        {
            if (!float.IsFinite(Upper[((nint)i * Columns) + i]))
                return false;
        }

        return true;
    }
}
