namespace MoeKernels;

/// <summary>Rounding to the precision models are stored in.</summary>
internal static class BFloat16
{
    /// <summary>The nearest bf16 number, ties to even; finite values only.</summary>
    public static float Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000);
    }
}
