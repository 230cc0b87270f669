using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>A matrix, its bias and the tables it is multiplied with.</summary>
internal unsafe struct CodebookProduct
{
    /// <summary>W, [rows × columns].</summary>
    public CodebookMatrix Weights;

    /// <summary>[rows] or null.</summary>
    public float* Bias;

    /// <summary>Tables of the inputs, built with the matrix's codebook.</summary>
    public CodebookTables Tables;

    /// <summary>First of the tables that take part.</summary>
    public int First;

    /// <summary>Which tables after <see cref="First"/> are the tokens', [tokens]; null when they follow each
    /// other.</summary>
    public int* Rows;
}
