using System.Diagnostics;

namespace MoeKernels.Packed;

/// <summary>
/// A borrowed view of a matrix in codebook form: row r is <c>scale[r] * Σ ± vectors</c>, one signed vector per group of
/// columns and stage. It owns nothing: whoever made it keeps the memory, usually a mapped file, alive.
/// </summary>
/// <param name="shape">Sizes and order of the codes.</param>
/// <param name="codes">Code bytes, [<see cref="CodebookShape.CodeBytes"/>], any alignment, 64 is fastest.</param>
/// <param name="scales">Half-precision scales, [<see cref="CodebookShape.PaddedRows"/>]: zero or positive and
/// normal.</param>
[DebuggerDisplay("{Shape}")]
internal readonly unsafe struct CodebookMatrix(CodebookShape shape, byte* codes, ushort* scales)
{
    /// <summary>Sizes and order.</summary>
    public readonly CodebookShape Shape = shape;

    /// <summary>First code.</summary>
    public readonly byte* Codes = codes;

    /// <summary>Bits of the first row's scale.</summary>
    public readonly ushort* Scales = scales;

    /// <summary>The codebook matrix that a view shows.</summary>
    public static CodebookMatrix Of(in WeightMatrix w) => new(w.CodebookShape, w.Data, (ushort*)w.Scales);

    /// <summary>Puts codes into the kernels' order.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="source">Codes, [rows × groups × stages].</param>
    /// <param name="codes">Output, [<see cref="CodebookShape.CodeBytes"/>]; padding becomes 0.</param>
    /// <exception cref="ArgumentException">A length is wrong.</exception>
    public static void Pack(CodebookShape shape, ReadOnlySpan<byte> source, Span<byte> codes)
    {
        CheckLength(source.Length, (long)shape.Rows * shape.Entries, nameof(source));
        CheckLength(codes.Length, shape.CodeBytes, nameof(codes));
        codes.Clear();
        for (int row = 0; row < shape.Rows; row++)
        {
            ReadOnlySpan<byte> own = source.Slice(row * shape.Entries, shape.Entries);
            for (int entry = 0; entry < own.Length; entry++)
                codes[(int)shape.ByteOf(row, entry)] = own[entry];
        }
    }

    /// <summary>The code of one entry of one row.</summary>
    public byte Code(int row, int entry) => Codes[Shape.ByteOf(row, entry)];

    /// <summary>The scale of a row.</summary>
    public float Scale(int row) => (float)BitConverter.UInt16BitsToHalf(Scales[row]);

    /// <summary>Whether bits are a scale the kernels widen exactly: zero, or positive, normal and finite.</summary>
    public static bool IsScale(ushort bits) => bits is 0 or (>= 0x0400 and < 0x7C00);

    private static void CheckLength(long length, long expected, string name)
    {
        if (length != expected)
            throw new ArgumentException($"{length} bytes instead of {expected}.", name);
    }
}
