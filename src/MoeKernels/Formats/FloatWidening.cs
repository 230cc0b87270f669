using System.Runtime.InteropServices;

namespace MoeKernels.Formats;

/// <summary>Exact widening of stored floats to fp32 (F64 rounds to nearest even). Not for weights.</summary>
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
                    target[i] = (float)((double*)source)[i];
                return true;
            case ElementType.F16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = (float)((Half*)source)[i];
                return true;
            case ElementType.BF16:
                for (int i = 0; i < target.Length; i++)
                    target[i] = BitConverter.UInt32BitsToSingle((uint)((ushort*)source)[i] << 16);
                return true;
            case ElementType.F8E4M3:
                for (int i = 0; i < target.Length; i++)
                    target[i] = WeightElement.Fp8(source[i]);
                return true;
            case ElementType.F8E5M2:
                for (int i = 0; i < target.Length; i++)
                    target[i] = (float)BitConverter.UInt16BitsToHalf((ushort)(source[i] << 8));
                return true;
            default:
                return false;
        }
    }
}
