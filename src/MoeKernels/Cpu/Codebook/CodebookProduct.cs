using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>A matrix, its bias and the inputs it is multiplied with.</summary>
internal unsafe struct CodebookProduct
{
    /// <summary>W, [rows × columns].</summary>
    public CodebookMatrix Weights;

    /// <summary>[rows] or null.</summary>
    public float* Bias;

    /// <summary>The inputs, with the matrix's codebook.</summary>
    public CodebookInput* Input;

    /// <summary>First of the input's tables that take part.</summary>
    public int First;

    /// <summary>Which tables after <see cref="First"/> are the tokens', [tokens]; null when they follow each
    /// other.</summary>
    public int* Rows;
}
