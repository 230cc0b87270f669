namespace MoeKernels.Compression;

/// <summary>Scales in half precision as the kernels take them: positive and normal.</summary>
internal static class HalfScale
{
    private const float Smallest = 6.103515625e-5f;
    private const float Largest = 65504;

    /// <summary>The nearest positive normal number.</summary>
    public static float Nearest(double value) =>
        (float)(Half)Math.Clamp((float)value, Smallest, Largest);

    /// <summary>Bits of a row's scale; below half of the smallest normal number it becomes 0.</summary>
    public static ushort Bits(double value) =>
        value < Smallest / 2 ? (ushort)0 : BitConverter.HalfToUInt16Bits((Half)Nearest(value));
}
