namespace MoeKernels.Compression;

/// <summary>A matrix that a codebook is trained on; it borrows its numbers.</summary>
/// <param name="target">Weights wanted, W', [rows × K].</param>
/// <param name="rows">Rows.</param>
/// <param name="hessian">H, [K × K]; null stands for the identity.</param>
internal sealed unsafe class TrainingSample(float* target, int rows, float* hessian)
{
    /// <summary>Weights wanted.</summary>
    public float* Target => target;

    /// <summary>Rows.</summary>
    public int Rows => rows;

    /// <summary>Moments of the inputs.</summary>
    public float* Hessian => hessian;
}
