namespace MoeKernels.Compression;

/// <summary>How bits are spread over layers and kinds of matrices.</summary>
public enum AllocationMode
{
    /// <summary>The divergence of every cell is measured once and scaled to the other options by the layer's error: at
    /// most about as long as the quantising itself.</summary>
    Fast,

    /// <summary>Every cell is measured with every option.</summary>
    Full,

    /// <summary>All cells are coded alike, but for what is left of the budget.</summary>
    Uniform,
}
