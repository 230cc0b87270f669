namespace MoeKernels.Router;

/// <summary>The router's linear layer, <c>logits = x Wgᵀ (+ b)</c>, in plain loops and the library's order of
/// summation.</summary>
/// <remarks>The SIMD body is the general dense projection of the room Cpu, which must give the same bits.</remarks>
internal static unsafe class LinearRouter
{
    /// <summary>Computes the logits of every token.</summary>
    /// <param name="weight">Wg, [E × hidden].</param>
    /// <param name="bias">[E], or null.</param>
    /// <param name="x">[T, hidden], row-major.</param>
    /// <param name="tokens">T.</param>
    /// <param name="logits">Receives [T, E].</param>
    public static void Logits(in WeightMatrix weight, float* bias, float* x, int tokens, float* logits)
    {
        for (int t = 0; t < tokens; t++)
        {
            for (int e = 0; e < weight.Rows; e++)
            {
                float sum = ReferenceDot.Row(weight, e, x + ((long)t * weight.Columns));
                logits[((long)t * weight.Rows) + e] = bias == null ? sum : sum + bias[e];
            }
        }
    }
}
