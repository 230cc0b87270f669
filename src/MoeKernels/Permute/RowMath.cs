using System.Numerics;
using System.Runtime.InteropServices;

namespace MoeKernels.Permute;

/// <summary>The two row operations of permutation. Elementwise, so every register width and the scalar tail give the
/// same bits, and one body over the machine's own width is enough: both are bound by memory.</summary>
internal static class RowMath
{
    /// <summary><c>y[i] = scale · x[i]</c>.</summary>
    public static void Scale(ReadOnlySpan<float> x, float scale, Span<float> y)
    {
        var from = MemoryMarshal.Cast<float, Vector<float>>(x);
        var to = MemoryMarshal.Cast<float, Vector<float>>(y);
        var factor = new Vector<float>(scale);
        for (int i = 0; i < from.Length; i++)
            to[i] = factor * from[i];

        for (int i = from.Length * Vector<float>.Count; i < x.Length; i++)
            y[i] = scale * x[i];
    }

    /// <summary><c>y[i] = scale · x[i] + y[i]</c>, fused.</summary>
    public static void AddScaled(ReadOnlySpan<float> x, float scale, Span<float> y)
    {
        var from = MemoryMarshal.Cast<float, Vector<float>>(x);
        var to = MemoryMarshal.Cast<float, Vector<float>>(y);
        var factor = new Vector<float>(scale);
        for (int i = 0; i < from.Length; i++)
            to[i] = Vector.FusedMultiplyAdd(factor, from[i], to[i]);

        for (int i = from.Length * Vector<float>.Count; i < x.Length; i++)
            y[i] = MathF.FusedMultiplyAdd(scale, x[i], y[i]);
    }
}
