namespace MoeKernels;

/// <summary>How the elements of a stored tensor are encoded: every type the safetensors format names.</summary>
public enum ElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>4-bit e2m1 float, two in a byte.</summary>
    F4,

    /// <summary>6-bit float with 2 exponent bits, packed.</summary>
    F6E2M3,

    /// <summary>6-bit float with 3 exponent bits, packed.</summary>
    F6E3M2,

    /// <summary>Unsigned byte; also carries packed formats such as MXFP4 blocks.</summary>
    U8,

    /// <summary>Signed byte.</summary>
    I8,

    /// <summary>8-bit float, 5 exponent bits, with infinities.</summary>
    F8E5M2,

    /// <summary>8-bit float, 4 exponent bits, finite: 0x7F and 0xFF are NaN.</summary>
    F8E4M3,

    /// <summary>8-bit power of two, bias 127: the scale of an OCP block.</summary>
    F8E8M0,

    /// <summary>8-bit float, 4 exponent bits, bias 8, no negative zero.</summary>
    F8E4M3Fnuz,

    /// <summary>8-bit float, 5 exponent bits, bias 16, no negative zero.</summary>
    F8E5M2Fnuz,

    /// <summary>Signed 16-bit integer.</summary>
    I16,

    /// <summary>Unsigned 16-bit integer.</summary>
    U16,

    /// <summary>IEEE 754 half precision.</summary>
    F16,

    /// <summary>The upper half of a single.</summary>
    BF16,

    /// <summary>Signed 32-bit integer.</summary>
    I32,

    /// <summary>Unsigned 32-bit integer.</summary>
    U32,

    /// <summary>IEEE 754 single precision.</summary>
    F32,

    /// <summary>Two singles, real then imaginary.</summary>
    C64,

    /// <summary>IEEE 754 double precision.</summary>
    F64,

    /// <summary>Signed 64-bit integer.</summary>
    I64,

    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}

/// <summary>Names and widths of <see cref="ElementType"/>.</summary>
internal static class ElementTypes
{
    /// <summary>Safetensors name and bits, indexed by the enum's value.</summary>
    private static readonly (string Name, int Bits)[] Table =
    [
        ("BOOL", 8), ("F4", 4), ("F6_E2M3", 6), ("F6_E3M2", 6), ("U8", 8), ("I8", 8),
        ("F8_E5M2", 8), ("F8_E4M3", 8), ("F8_E8M0", 8), ("F8_E4M3FNUZ", 8), ("F8_E5M2FNUZ", 8),
        ("I16", 16), ("U16", 16), ("F16", 16), ("BF16", 16), ("I32", 32), ("U32", 32), ("F32", 32),
        ("C64", 64), ("F64", 64), ("I64", 64), ("U64", 64),
    ];

    /// <summary>Bits of one element.</summary>
    internal static int Bits(this ElementType type) => Table[(int)type].Bits;

    /// <summary>The name in a safetensors header, for example <c>F8_E4M3</c>.</summary>
    internal static string FormatName(this ElementType type) => Table[(int)type].Name;

    /// <summary>Finds the type of a safetensors name; names are upper case and exact.</summary>
    internal static bool TryParse(string name, out ElementType type)
    {
        int index = Array.FindIndex(Table, entry => entry.Name == name);
        type = (ElementType)Math.Max(index, 0);
        return index >= 0;
    }
}
