using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace MoeKernels.Formats;

/// <summary>Exact widening of stored floats to fp32 (F64 rounds to nearest even). For small tensors, not for weights.</summary>
internal static unsafe class FloatWidening
{
    /// <summary>Widens <c>target.Length</c> elements; false when the type is no float that fp32 can hold.</summary>
    /// <param name="type">Encoding of the source.</param>
    /// <param name="source">First element, any alignment.</param>
    /// <param name="target">Takes one value per element.</param>
    internal static bool TryWiden(ElementType type, byte* source, Span<float> target)
    {
        switch (type)
        {
            case ElementType.F32:
                new ReadOnlySpan<byte>(source, target.Length * sizeof(float)).CopyTo(MemoryMarshal.AsBytes(target));
                return true;
            case ElementType.F64:
                for (int i = 0; i < target.Length; i++)
                    target[i] = (float)BinaryPrimitives.ReadDoubleLittleEndian(new(source + (8L * i), 8));
                return true;
            case ElementType.F16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = (float)BinaryPrimitives.ReadHalfLittleEndian(new(source + (2L * i), 2));
                return true;
            case ElementType.BF16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = FromBF16(BinaryPrimitives.ReadUInt16LittleEndian(new(source + (2L * i), 2)));
                return true;
            case ElementType.F8E4M3:
                for (int i = 0; i < target.Length; i++)
                    target[i] = FromE4M3(source[i]);
                return true;
            case ElementType.F8E5M2:
                for (int i = 0; i < target.Length; i++)
                    target[i] = (float)BitConverter.UInt16BitsToHalf((ushort)(source[i] << 8));
                return true;
            default:
                return false;
        }
    }

    /// <summary>bf16 is the upper half of a single.</summary>
    internal static float FromBF16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>e4m3, finite variant: exponent bias 7, 0x7F and 0xFF are NaN, no infinities.</summary>
    internal static float FromE4M3(byte bits)
    {
        int magnitude = bits & 0x7F;
        if (magnitude == 0x7F)
            return float.NaN;

        // Placed in a single's fields the exponent is too small by 127 - 7; one exact multiplication by 2^120 repairs
        // normal and subnormal values alike.
        float value = BitConverter.UInt32BitsToSingle((uint)magnitude << 20) * BitConverter.UInt32BitsToSingle(247u << 23);
        return bits < 0x80 ? value : -value;
    }
}
