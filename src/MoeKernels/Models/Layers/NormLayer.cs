using MoeKernels.Cpu;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Layers;

/// <summary>A normalisation with its weights, applied to each row by itself.</summary>
/// <param name="spec">Formula, size and epsilon.</param>
/// <param name="weight">[size]; null for <see cref="NormKind.RmsUnweighted"/>.</param>
/// <param name="bias">[size]; null but for <see cref="NormKind.Layer"/>.</param>
internal sealed unsafe class NormLayer(NormSpec spec, float* weight, float* bias)
{
    public int Size => spec.Size;

    public NormSpec Spec => spec;

    public float* Weight => weight;

    public float* Bias => bias;

    /// <summary>Normalises <paramref name="rows"/> contiguous rows of <see cref="Size"/>; y may be x.</summary>
    public void Forward(WorkerPool pool, float* x, float* y, int rows) =>
        Forward(pool, x, spec.Size, y, spec.Size, rows);

    /// <summary>Normalises <paramref name="rows"/> rows that lie a stride apart; y may be x.</summary>
    public void Forward(WorkerPool pool, float* x, nint xStride, float* y, nint yStride, int rows)
    {
        if (spec.Kind == NormKind.Layer)
        {
            Norms.Layer(pool, x, xStride, weight, bias, spec.Epsilon, y, yStride, rows, spec.Size);
            return;
        }

        float offset = spec.Kind == NormKind.RmsPlusOne ? 1 : 0;
        Norms.Rms(pool, x, xStride, weight, offset, spec.Epsilon, y, yStride, rows, spec.Size);
    }
}
