namespace MoeKernels.Cpu;

/// <summary>Width of the registers the kernels use; the bits of every result are the same at all levels.</summary>
internal enum SimdLevel
{
    /// <summary>Scalar code without vector instructions.</summary>
    Software,

    /// <summary>128-bit registers.</summary>
    V128,

    /// <summary>256-bit registers.</summary>
    V256,

    /// <summary>512-bit registers.</summary>
    V512,
}
