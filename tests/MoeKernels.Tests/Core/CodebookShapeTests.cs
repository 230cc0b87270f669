using CsCheck;
using MoeKernels.Packed;

namespace MoeKernels.Tests.Core;

/// <summary>The order of FORMAT.md and the limits of a codebook.</summary>
public sealed class CodebookShapeTests
{
    [Fact]
    public void Pack_VectorOfTheFormat_GivesItsBytes()
    {
        var shape = new CodebookShape(2, 3, 2, 1);
        byte[] expected = new byte[128];
        (expected[0], expected[2], expected[64], expected[66]) = (0x05, 0x7F, 0x81, 0x80);
        byte[] codes = new byte[shape.CodeBytes];
        CodebookMatrix.Pack(shape, [0x05, 0x81, 0x7F, 0x80], codes);
        Assert.Equal(expected, codes);
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(32, 0, 1)]
    [InlineData(130, 3, 836)]
    [InlineData(64, 68, 21568)]
    [InlineData(299, 68, 22039)]
    public void ByteOf_VectorsOfTheFormat_AreMet(int row, int entry, int expected) =>
        Assert.Equal(expected, new CodebookShape(300, 137, 2, 1).ByteOf(row, entry));

    [Fact]
    public void ByteOf_AnyShape_IsOneToOne() =>
        Gen.Select(Gen.Int[1, 400], Gen.Int[1, 150], Gen.Int[1, 16], Gen.Int[1, 4]).Sample(
            (rows, columns, dimension, stages) =>
            {
                var shape = new CodebookShape(rows, columns, dimension, stages);
                bool[] taken = new bool[shape.CodeBytes];
                for (int row = 0; row < shape.PaddedRows; row++)
                {
                    for (int entry = 0; entry < shape.Entries; entry++)
                    {
                        long place = shape.ByteOf(row, entry);
                        Assert.False(taken[place]);
                        taken[place] = true;
                    }
                }
            },
            iter: 40);

    [Theory]
    [InlineData(16, 1, 0.5)]
    [InlineData(8, 1, 1.0)]
    [InlineData(5, 1, 1.6)]
    [InlineData(6, 3, 4.0)]
    public void BitsPerWeight_OfLargeMatrices_IsCodesPlusScales(int dimension, int stages, double codeBits)
    {
        var shape = new CodebookShape(768, 240 * 128, dimension, stages);
        Assert.Equal(codeBits + (16.0 / (240 * 128)), shape.BitsPerWeight, 3);
    }

    [Theory]
    [InlineData(0, 1, 1, 1)]
    [InlineData(1, -1, 1, 1)]
    [InlineData(1, 1, 17, 1)]
    [InlineData(1, 1, 1, 5)]
    [InlineData((1 << 24) + 1, 1, 1, 1)]
    public void Shape_OutOfRange_IsRefused(int rows, int columns, int dimension, int stages) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new CodebookShape(rows, columns, dimension, stages));

    [Fact]
    public void Codebook_NumbersBeyondTheLimits_AreRefused()
    {
        sbyte[] vectors = new sbyte[128 * 8];
        vectors.AsSpan(8, 4).Fill(64);
        Assert.Null(Codebook.Problem(8, 1, vectors));
        vectors[12] = 2;
        Assert.Contains("258", Codebook.Problem(8, 1, vectors), StringComparison.Ordinal);
        vectors[12] = 0;
        vectors[8] = -65;
        Assert.Contains("-65", Codebook.Problem(8, 1, vectors), StringComparison.Ordinal);
        Assert.NotNull(Codebook.Problem(8, 2, vectors));
        Assert.Throws<ArgumentException>(() => new Codebook(8, 1, vectors));
    }
}
