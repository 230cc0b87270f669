using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>Where the heads of rows lie in device memory.</summary>
/// <param name="first">Head 0 of row 0.</param>
/// <param name="stride">Elements from one row to the next.</param>
/// <param name="headStride">Elements from one head of a row to the next.</param>
/// <param name="type">fp32 or bf16.</param>
internal readonly unsafe struct DeviceHeadRows(
    void* first, long stride, long headStride, moek_dtype type = moek_dtype.MOEK_F32)
{
    /// <summary>Head 0 of row 0.</summary>
    public void* First => first;

    /// <summary>Elements from one row to the next.</summary>
    public long Stride => stride;

    /// <summary>Elements from one head of a row to the next.</summary>
    public long HeadStride => headStride;

    /// <summary>Type of the elements.</summary>
    public moek_dtype Type => type;
}
