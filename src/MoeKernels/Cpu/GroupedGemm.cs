using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>The experts' matrices over rows in expert order: rows <c>[offsets[e], offsets[e + 1])</c> belong to expert e.</summary>
/// <remarks>Experts with few rows stream their weights, others are tiled; a row's bits are those of <see cref="Linear"/>.</remarks>
internal static unsafe class GroupedGemm
{
    /// <summary>Computes <c>a = act(gate xp) * up xp</c>, or <c>a = act(up xp)</c> when not gated.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="activation">The non-linearity and whether there is a gate.</param>
    /// <param name="gate">One [intermediate × hidden] matrix per expert; null when not gated.</param>
    /// <param name="up">One [intermediate × hidden] matrix per expert.</param>
    /// <param name="gateBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="upBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First row of each expert, [E + 1].</param>
    /// <param name="xp">Rows in expert order, [offsets[E] × hidden].</param>
    /// <param name="xStride">Distance between two rows of <paramref name="xp"/> in elements.</param>
    /// <param name="a">Output, [offsets[E] × intermediate].</param>
    /// <param name="aStride">Distance between two rows of <paramref name="a"/> in elements.</param>
    public static void GateUp(
        WorkerPool pool, in Activation activation, WeightMatrix* gate, WeightMatrix* up, float** gateBias,
        float** upBias, int experts, int* offsets, float* xp, nint xStride, float* a, nint aStride)
    {
        for (int e = 0; e < experts; e++)
        {
            for (int n = offsets[e]; n < offsets[e + 1]; n++)
            {
                for (int i = 0; i < up[e].Rows; i++)
                {
                    float u = Linear.Canonical(up[e], i, xp + (n * xStride)) + (upBias == null ? 0 : upBias[e][i]);
                    float g = 0;
                    if (activation.Gated)
                    {
                        g = Linear.Canonical(gate[e], i, xp + (n * xStride))
                            + (gateBias == null ? 0 : gateBias[e][i]);
                    }

                    a[(n * aStride) + i] = u;
                    if (activation.Gated)
                        Activations.ApplyGated(activation, &g, a + (n * aStride) + i, a + (n * aStride) + i, 1);
                    else
                        Activations.Apply(activation.Kind, a + (n * aStride) + i, a + (n * aStride) + i, 1);
                }
            }
        }
    }

    /// <summary>Computes <c>yp = down a + bias</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="down">One [hidden × intermediate] matrix per expert.</param>
    /// <param name="bias">One [hidden] bias pointer per expert, or null for none.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First row of each expert, [E + 1].</param>
    /// <param name="a">Rows in expert order, [offsets[E] × intermediate].</param>
    /// <param name="aStride">Distance between two rows of <paramref name="a"/> in elements.</param>
    /// <param name="yp">Output, [offsets[E] × hidden].</param>
    /// <param name="yStride">Distance between two rows of <paramref name="yp"/> in elements.</param>
    public static void Down(
        WorkerPool pool, WeightMatrix* down, float** bias, int experts, int* offsets, float* a, nint aStride,
        float* yp, nint yStride)
    {
        for (int e = 0; e < experts; e++)
        {
            Linear.Forward(pool, down[e], bias == null ? null : bias[e], a + (offsets[e] * aStride), aStride,
                offsets[e + 1] - offsets[e], yp + (offsets[e] * yStride), yStride);
        }
    }
}
