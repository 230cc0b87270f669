namespace MoeKernels;

/// <summary>The exact single-precision value of one stored weight: the scalar definition of every weight
/// format.</summary>
internal static unsafe class WeightElement
{
    private static ReadOnlySpan<float> Fp4 =>
        [0f, 0.5f, 1f, 1.5f, 2f, 3f, 4f, 6f, -0f, -0.5f, -1f, -1.5f, -2f, -3f, -4f, -6f];

    /// <summary>Value of <c>w[row, column]</c>; fp8 is the decoded value times its block's scale, rounded
    /// once.</summary>
    public static float Get(in WeightMatrix w, int row, int column)
    {
        byte* data = w.Row(row);
        switch (w.Format)
        {
            case WeightFormat.F32:
                return ((float*)data)[column];
            case WeightFormat.F16:
                return (float)((Half*)data)[column];
            case WeightFormat.BF16:
                return BitConverter.UInt32BitsToSingle((uint)((ushort*)data)[column] << 16);
            case WeightFormat.F8E4M3:
                byte* scales = w.Scales + ((w.FirstRow + row) / w.BlockRows * w.ScaleRowBytes);
                return Fp8(data[column]) * ((float*)scales)[column / w.BlockColumns];
            case WeightFormat.MxFp4:
                int code = (data[column >> 1] >> (4 * (column & 1))) & 15;
                return Fp4[code] * PowerOfTwo(w.Scales[(row * w.ScaleRowBytes) + (column / 32)]);
            case WeightFormat.Codebook:
                return Codebook(w, row, column);
            case WeightFormat.TernaryTiles:
                float value;
                TernaryTileRow.Unpack(w, row, column, 1, &value);
                return value;
            case WeightFormat.GroupedInt:
                float weight;
                IntegerRow.Unpack(w, row, column, 1, &weight);
                return weight;
            default:
                throw new MoeUnsupportedException($"weight format {w.Format}");
        }
    }

    /// <summary>Sum of the signed vectors, times the row's scale, times the input's; each product is rounded
    /// once.</summary>
    private static float Codebook(in WeightMatrix w, int row, int column)
    {
        CodebookVectors* vectors = w.Vectors;
        CodebookShape shape = w.CodebookShape;
        (int group, int k) = Math.DivRem(column, shape.Dimension);
        int sum = 0;
        for (int stage = 0; stage < shape.Stages; stage++)
        {
            byte code = w.Data[shape.ByteOf(row, (group * shape.Stages) + stage)];
            int number = vectors->Number(stage, code & 127, k);
            sum += code < 128 ? number : -number;
        }

        return (float)((Half*)w.Scales)[row] * sum * vectors->InputScale(column);
    }

    /// <summary>Value of an e4m3 byte: exponent bias 7, subnormals, NaN at 0x7F and 0xFF, no infinities.</summary>
    public static float Fp8(byte code)
    {
        int exponent = (code >> 3) & 15;
        int mantissa = code & 7;
        if ((code & 0x7F) == 0x7F)
            return float.NaN;
        float magnitude = exponent == 0
            ? mantissa * (1f / 512)
            : BitConverter.Int32BitsToSingle(((exponent + 120) << 23) | (mantissa << 20));
        return (code & 0x80) != 0 ? -magnitude : magnitude;
    }

    /// <summary>Value of an e8m0 byte, <c>2^(s - 127)</c>; 0xFF is NaN and 0 the subnormal 2^-127.</summary>
    public static float PowerOfTwo(byte scale) => scale switch
    {
        255 => float.NaN,
        0 => BitConverter.Int32BitsToSingle(1 << 22),
        _ => BitConverter.Int32BitsToSingle(scale << 23),
    };
}
