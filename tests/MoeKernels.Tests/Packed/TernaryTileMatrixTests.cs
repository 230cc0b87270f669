using CsCheck;
using MoeKernels.Packed;

namespace MoeKernels.Tests.Packed;

public sealed unsafe class TernaryTileMatrixTests
{
    private static readonly Gen<(int Seed, int Rows, int Columns)> Shapes =
        Gen.Select(Gen.Int, Gen.Int[1, 150], Gen.Int[1, 400]);

    [Fact]
    public void Tiles_OfAnyMatrix_GiveTheSameCodewordsBack() => Shapes.Sample(
        s =>
        {
            ushort[] weights = QmoeFixture.RandomTernary(new Random(s.Seed), s.Rows, s.Columns);
            QmoeMatrix matrix = QmoeEncoder.Encode(weights, s.Rows, s.Columns);
            using TernaryTileMatrix tiles = TernaryTileMatrix.From(matrix);
            QmoeMatrix back = tiles.ToQmoe();
            Assert.True(matrix.Codes.SequenceEqual(back.Codes));
            Assert.True(matrix.RowOffsets.SequenceEqual(back.RowOffsets));
            Assert.True(matrix.Levels.SequenceEqual(back.Levels));
        },
        iter: 40);

    [Fact]
    public void Tiles_OfSymbolsNamedByEquality_GiveTheSameWeights() => Shapes.Sample(
        s =>
        {
            ushort[] weights = QmoeFixture.RandomTernary(new Random(s.Seed), s.Rows, s.Columns);
            QmoeMatrix matrix = QmoeEncoder.Encode(weights, s.Rows, s.Columns, QmoeSymbolRule.ByEquality);
            using TernaryTileMatrix tiles = TernaryTileMatrix.From(matrix);
            Assert.Equal(weights, QmoeFixture.Decode(tiles.ToQmoe()));
        },
        iter: 40);

    [Fact]
    public void Get_EveryElement_IsTheStoredWeight()
    {
        ushort[] weights = QmoeFixture.RandomTernary(new Random(5), 70, 140);
        using TernaryTileMatrix tiles = TernaryTileMatrix.From(QmoeEncoder.Encode(weights, 70, 140));
        for (int i = 0; i < weights.Length; i++)
            Assert.Equal(QmoeFixture.Widen(weights[i]), WeightElement.Get(tiles.View, i / 140, i % 140));
    }

    [Fact]
    public void Tiles_AtTheUsualSparsity_TakeOneBitPerWeight()
    {
        var random = new Random(1);
        var weights = new ushort[256 * 1024];
        for (int i = 0; i < weights.Length; i++)
            weights[i] = random.NextDouble() < .885 ? (ushort)0 : random.Next(2) == 0 ? (ushort)0xBF80 : (ushort)0x3F00;
        using TernaryTileMatrix tiles = TernaryTileMatrix.From(QmoeEncoder.Encode(weights, 256, 1024));
        Assert.InRange(8.0 * tiles.ByteLength / weights.Length, .95, 1.04);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(16)]
    [InlineData(128)]
    public void Tiles_RowsWithFarMoreMembersThanOthers_KeepThem(int members)
    {
        var weights = new ushort[64 * 128];
        weights.AsSpan(17 * 128, members).Fill(0x3F80);
        weights.AsSpan((40 * 128) + 128 - members, members).Fill(0xBF80);
        using TernaryTileMatrix tiles = TernaryTileMatrix.From(QmoeEncoder.Encode(weights, 64, 128));
        Assert.Equal(weights, QmoeFixture.Decode(tiles.ToQmoe()));
        bool wide = tiles.View.Data[tiles.Shape.TableBytes] == TernaryTile.Wide;
        Assert.Equal(members > TernaryTile.NibbleRange, wide);
    }
}
