namespace MoeKernels.Cpu;

/// <summary>Sees what matrices are multiplied with: for calibration.</summary>
internal unsafe interface ILinearTap
{
    /// <summary>Called on the calling thread before a product is computed.</summary>
    /// <param name="w">The matrix.</param>
    /// <param name="x">Inputs, [tokens × columns].</param>
    /// <param name="xStride">Distance between two tokens in elements.</param>
    /// <param name="tokens">Number of tokens.</param>
    void Observe(in WeightMatrix w, float* x, nint xStride, int tokens);
}
