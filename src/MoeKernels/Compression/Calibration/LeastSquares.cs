using System.Runtime.InteropServices;
using MoeKernels.Cpu;

namespace MoeKernels.Compression;

/// <summary>The matrices that map inputs X of the compressed model best to outputs T of the dense one:
/// <c>W' = (G + l W)(H + l I)⁻¹</c> with <c>H = Xᵀ X / n</c>, <c>G = Tᵀ X / n</c>, drawn towards W where the text says
/// little.</summary>
/// <param name="scratch">Working memory.</param>
/// <param name="columns">Inputs, K.</param>
/// <param name="moments">Receives H, [K × K], the upper triangle.</param>
internal unsafe ref struct LeastSquares(Scratch scratch, int columns, float* moments)
{
    private double _total;

    /// <summary>Clears the sums of H.</summary>
    public void Begin() => NativeMemory.Clear(moments, (nuint)((nint)columns * columns * sizeof(float)));

    /// <summary>Adds inputs, [n × K], and the sum of their weights.</summary>
    public void AddInputs(float* x, int n, double weight)
    {
        Gemm.AddMoments(new MatrixView(x, columns), n, columns, moments, scratch);
        _total += weight;
    }

    /// <summary>Adds <c>Tᵀ X</c> to the sums of a matrix.</summary>
    /// <param name="t">[n × rows].</param>
    /// <param name="x">[n × K].</param>
    /// <param name="n">Tokens.</param>
    /// <param name="sums">[rows × K].</param>
    /// <param name="rows">Outputs.</param>
    public readonly void AddOutputs(float* t, float* x, int n, float* sums, int rows) => Gemm.Add(
        1, new MatrixView(t, rows).Transposed, new(x, columns), sums, columns, rows, columns, n, scratch);

    /// <summary>Turns sums into means; returns the factor with which <see cref="Solve"/> works.</summary>
    public readonly DampedFactor Factor()
    {
        Scale(moments, (nint)columns * columns);
        return DampedFactor.Create(moments, columns, [], DenseTarget.Damping, scratch);
    }

    /// <summary>Replaces the sums of a matrix by W'.</summary>
    public readonly void Solve(DampedFactor factor, float* weights, float* sums, int rows)
    {
        Scale(sums, (nint)rows * columns);
        DenseTarget.Solve(factor, weights, sums, rows, scratch);
    }

    private readonly void Scale(float* values, nint count)
    {
        float factor = (float)(1 / _total);
        for (nint i = 0; i < count; i += 1 << 20)
            Vec.Scale(values + i, factor, values + i, (int)Math.Min(1 << 20, count - i));
    }
}
