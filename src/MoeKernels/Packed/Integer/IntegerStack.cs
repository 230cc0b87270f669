namespace MoeKernels.Packed;

/// <summary>Matrices of small integers of one shape in managed memory, as a quantiser makes them.</summary>
/// <param name="Shape">Sizes of each matrix.</param>
/// <param name="Matrices">The matrices.</param>
internal sealed record IntegerStack(IntegerShape Shape, IReadOnlyList<IntegerCodes> Matrices)
{
    /// <summary>Bytes of all tensors of the stack.</summary>
    public long ByteLength => (Matrices.Count * Shape.ByteLength) + (sizeof(int) * IntegerTensors.HeaderLength);
}

/// <summary>One matrix of small integers as it is stored.</summary>
/// <param name="Rows">Zero points and codes, [rows, <see cref="IntegerShape.RowBytes"/>].</param>
/// <param name="Scales">fp16 bits, [rows, groups].</param>
internal sealed unsafe record IntegerCodes(byte[] Rows, ushort[] Scales)
{
    /// <summary>Packs a quantiser's numbers.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="codes">[rows, columns], each below 2^bits.</param>
    /// <param name="scales">[rows, groups], each an fp16 number.</param>
    /// <param name="zeros">[rows, groups], whole numbers from 0 to 255.</param>
    public static IntegerCodes Pack(in IntegerShape shape, byte* codes, float* scales, float* zeros)
    {
        var result = new IntegerCodes(
            new byte[checked(shape.Rows * shape.RowBytes)], new ushort[checked(shape.Rows * shape.Groups)]);
        for (int i = 0; i < result.Scales.Length; i++)
            result.Scales[i] = BitConverter.HalfToUInt16Bits((Half)scales[i]);
        fixed (byte* rows = result.Rows)
        {
            for (int r = 0; r < shape.Rows; r++, codes += shape.Columns, zeros += shape.Groups)
            {
                byte* row = rows + ((nint)r * shape.RowBytes);
                for (int g = 0; g < shape.Groups; g++)
                    row[g] = (byte)zeros[g];
                for (int k = 0; k < shape.Columns; k++)
                    IntegerRow.Put(row + shape.Groups, k, shape.Bits, codes[k]);
            }
        }

        return result;
    }
}
