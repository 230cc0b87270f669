namespace MoeKernels.Cpu;

/// <summary>One matrix per expert and, perhaps, its bias.</summary>
/// <param name="matrices">[E], or null for no product.</param>
/// <param name="biases">[E] pointers, or null.</param>
internal readonly unsafe struct ExpertProduct(WeightMatrix* matrices, float** biases)
{
    /// <summary>[E], or null.</summary>
    public readonly WeightMatrix* Matrices = matrices;

    /// <summary>Bias of an expert, or null.</summary>
    public float* Bias(int expert) => biases == null ? null : biases[expert];
}
