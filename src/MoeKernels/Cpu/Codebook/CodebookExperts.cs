using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>The experts' codebook matrices over rows in expert order, as <see cref="GroupedGemm"/> has them for other
/// formats; a row's bits are those of <see cref="CodebookLinear"/>.</summary>
/// <remarks>
/// Experts that share a codebook share the tables of a token, so their input is the token, not a copy of it in expert
/// order. Where each expert has a codebook of its own, its rows get their own tables.
/// </remarks>
internal static unsafe class CodebookExperts
{
    /// <summary>Whether the matrices of all experts that have rows are codebook matrices.</summary>
    /// <param name="matrices">One matrix per expert, or null.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First slot of each expert, [E + 1].</param>
    public static bool Covers(WeightMatrix* matrices, int experts, int* offsets)
    {
        for (int e = 0; e < experts && matrices != null; e++)
        {
            if (offsets[e] < offsets[e + 1] && matrices[e].Format != WeightFormat.Codebook)
                return false;
        }

        return true;
    }

    /// <summary>Computes <c>a = act(gate x) * up x</c>, or <c>a = act(up x)</c> when not gated, for each
    /// slot.</summary> <param name="pool">Threads to use.</param>
    /// <param name="activation">The non-linearity and whether there is a gate.</param>
    /// <param name="gate">One [intermediate × hidden] matrix per expert; null when not gated.</param>
    /// <param name="up">One [intermediate × hidden] matrix per expert.</param>
    /// <param name="gateBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="upBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="slots">Slots of the experts and their inputs.</param>
    /// <param name="a">Output, [slots × intermediate]; must not overlap the inputs.</param>
    /// <param name="aStride">Distance between two slots of <paramref name="a"/> in elements.</param>
    public static void GateUp(
        WorkerPool pool, in Activation activation, WeightMatrix* gate, WeightMatrix* up, float** gateBias,
        float** upBias, in ExpertSlots slots, float* a, nint aStride)
    {
        Activation copy = activation;
        CodebookCall call = new(pool, slots)
        {
            Activation = &copy,
            Gate = new ExpertProduct(activation.Gated ? gate : null, gateBias),
            Main = new ExpertProduct(up, upBias),
            Y = a,
            YStride = aStride,
        };
        call.Run();
    }

    /// <summary>Computes <c>yp = down a + bias</c> for each slot.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="down">One [hidden × intermediate] matrix per expert.</param>
    /// <param name="bias">One [hidden] bias pointer per expert, or null for none.</param>
    /// <param name="slots">Slots of the experts and their inputs.</param>
    /// <param name="yp">Output, [slots × hidden]; must not overlap the inputs.</param>
    /// <param name="yStride">Distance between two slots of <paramref name="yp"/> in elements.</param>
    public static void Down(
        WorkerPool pool, WeightMatrix* down, float** bias, in ExpertSlots slots, float* yp, nint yStride)
    {
        CodebookCall call = new(pool, slots) { Main = new ExpertProduct(down, bias), Y = yp, YStride = yStride };
        call.Run();
    }
}
