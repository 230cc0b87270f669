namespace MoeKernels.Cpu;

/// <summary>Softmax of one row.</summary>
internal static unsafe class Softmax
{
    /// <summary><c>y[i] = exp(x[i] - m) / Σ exp(x[j] - m)</c> with the canonical sum; <paramref name="y"/> may be
    /// <paramref name="x"/>.</summary>
    public static void Row(float* x, float* y, int count) => Row(x, y, count, null);

    /// <summary>Softmax with one more logit <paramref name="sink"/> that takes part in maximum and sum but has no output.</summary>
    /// <param name="x">Logits, [count].</param>
    /// <param name="y">Probabilities, [count]; may be <paramref name="x"/>.</param>
    /// <param name="count">Number of logits.</param>
    /// <param name="sink">The extra logit, or null for none.</param>
    public static void Row(float* x, float* y, int count, float* sink)
    {
        float max = sink == null ? float.NegativeInfinity : *sink;
        for (int i = 0; i < count; i++)
            max = MathF.Max(max, x[i]);
        float* sums = stackalloc float[16];
        new Span<float>(sums, 16).Clear();
        for (int i = 0; i < count; i++)
        {
            y[i] = MathF.Exp(x[i] - max);
            sums[i & 15] += y[i];
        }

        float sum = Linear.Tree(sums) + (sink == null ? 0 : MathF.Exp(*sink - max));
        for (int i = 0; i < count; i++)
            y[i] /= sum;
    }
}
