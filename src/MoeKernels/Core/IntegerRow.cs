namespace MoeKernels;

/// <summary>Weights of a matrix of small integers: exact and scalar, the definition of the format.</summary>
internal static unsafe class IntegerRow
{
    /// <summary>Writes columns <c>[column, column + count)</c> of a row:
    /// <c>scale[r, k / 64] * (code[r, k] - zero[r, k / 64])</c>, rounded once.</summary>
    public static void Unpack(in WeightMatrix w, int row, int column, int count, float* destination)
    {
        byte* zeros = w.Row(row);
        byte* codes = zeros + ((w.Columns + IntegerShape.GroupColumns - 1) / IntegerShape.GroupColumns);
        var scales = (Half*)(w.Scales + (row * w.ScaleRowBytes));
        for (int k = column; k < column + count;)
        {
            int group = k / IntegerShape.GroupColumns;
            int end = Math.Min((group + 1) * IntegerShape.GroupColumns, column + count);
            (float scale, int zero) = ((float)scales[group], zeros[group]);
            for (; k < end; k++)
                *destination++ = scale * (Code(codes, k, w.CodeBits) - zero);
        }
    }

    /// <summary>Stores a code in a row's cleared stream.</summary>
    public static void Put(byte* codes, int column, int bits, byte code)
    {
        (long index, int shift) = Place(column, bits);
        int shifted = code << shift;
        codes[index] |= (byte)shifted;
        if (shift + bits > 8)
            codes[index + 1] |= (byte)(shifted >> 8);
    }

    /// <summary>The next byte is read only where the code reaches into it, and so never behind the row.</summary>
    private static int Code(byte* codes, int column, int bits)
    {
        (long index, int shift) = Place(column, bits);
        int stored = codes[index];
        if (shift + bits > 8)
            stored |= codes[index + 1] << 8;
        return (stored >> shift) & ((1 << bits) - 1);
    }

    private static (long Byte, int Shift) Place(int column, int bits)
    {
        long bit = (long)column * bits;
        return (bit >> 3, (int)(bit & 7));
    }
}
