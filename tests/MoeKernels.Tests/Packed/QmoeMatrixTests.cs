using System.Text.Json;
using CsCheck;
using MoeKernels.Packed;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Packed;

public class QmoeMatrixTests
{
    /// <summary>The authors' kernel covers the rows up to the last multiple of 32; the others of "ragged" are
    /// lost.</summary>
    [Theory]
    [InlineData("gptq", 64)]
    [InlineData("iid", 32)]
    [InlineData("dense", 32)]
    [InlineData("odd", 32)]
    [InlineData("edge", 32)]
    [InlineData("ragged", 32)]
    public void Encode_ByEquality_EqualsTheAuthorsFiles(string name, int encodedRows)
    {
        ushort[] weights = QmoeFixture.Read<ushort>($"{name}.w");
        QmoeMatrix golden = QmoeFixture.Matrix(name);
        QmoeMatrix encoded = QmoeEncoder.Encode(weights, golden.Rows, golden.Columns, QmoeSymbolRule.ByEquality);
        int codes = encoded.RowOffsets[encodedRows];
        Assert.Equal(golden.Codes.Length, codes);
        Assert.True(golden.Codes.SequenceEqual(encoded.Codes[..codes]));
        int offsets = encodedRows + 1;
        Assert.True(golden.RowOffsets[..offsets].SequenceEqual(encoded.RowOffsets[..offsets]));
        Assert.True(golden.Levels[..(2 * encodedRows)].SequenceEqual(encoded.Levels[..(2 * encodedRows)]));
    }

    [Theory]
    [InlineData("gptq", 64)]
    [InlineData("iid", 32)]
    [InlineData("dense", 32)]
    [InlineData("odd", 32)]
    [InlineData("edge", 32)]
    [InlineData("ragged", 32)]
    public void DecodeRow_OfTheAuthorsFiles_GivesTheirWeightsAndProduct(string name, int encodedRows)
    {
        ushort[] weights = QmoeFixture.Read<ushort>($"{name}.w");
        ushort[] x = QmoeFixture.Read<ushort>($"{name}.x");
        double[] y = QmoeFixture.Read<double>($"{name}.y");
        QmoeMatrix matrix = QmoeFixture.Matrix(name);
        ushort[] decoded = QmoeFixture.Decode(matrix);
        for (int row = 0; row < matrix.Rows; row++)
        {
            double sum = 0, norm = 0;
            for (int i = 0; i < matrix.Columns; i++)
            {
                ushort weight = decoded[(row * matrix.Columns) + i];
                Assert.Equal(row < encodedRows ? weights[(row * matrix.Columns) + i] : 0, weight);
                double product = (double)QmoeFixture.Widen(weight) * QmoeFixture.Widen(x[i]);
                sum += product;
                norm += Math.Abs(product);
            }

            Assert.InRange(sum, y[row] - (1e-6 * norm), y[row] + (1e-6 * norm));
        }
    }

    [Theory]
    [InlineData("gptq")]
    [InlineData("iid")]
    [InlineData("ragged")]
    public void BitsPerWeight_OfTheAuthorsFiles_CountsTheClosingOffsetToo(string name)
    {
        using JsonDocument golden = JsonDocument.Parse(
            File.ReadAllBytes(RepositoryPaths.DataFile("qmoe", "codec.json")));
        double expected = golden.RootElement.GetProperty("matrices").GetProperty(name)
            .GetProperty("bits_per_weight").GetDouble();
        QmoeMatrix matrix = QmoeFixture.Matrix(name);
        double weights = (double)matrix.Rows * matrix.Columns;
        Assert.Equal(expected, matrix.BitsPerWeight - (32 / weights), 4);
        Assert.Equal(matrix.BitCount / weights, matrix.BitsPerWeight);
    }

    [Fact]
    public void Encode_RandomMatrices_ComeBackByBothRules() =>
        Gen.Select(Gen.Int[1, 9], Gen.Int[1, 130], Gen.Int).Sample((rows, columns, seed) =>
        {
            ushort[] weights = QmoeFixture.RandomTernary(new Random(seed), rows, columns);
            QmoeMatrix bySign = QmoeEncoder.Encode(weights, rows, columns);
            QmoeMatrix byEquality = QmoeEncoder.Encode(weights, rows, columns, QmoeSymbolRule.ByEquality);
            ushort[] decoded = QmoeFixture.Decode(bySign);
            QmoeMatrix again = QmoeEncoder.Encode(decoded, rows, columns);
            return decoded.AsSpan().SequenceEqual(weights)
                && QmoeFixture.Decode(byEquality).AsSpan().SequenceEqual(weights)
                && again.Codes.SequenceEqual(bySign.Codes)
                && again.Levels.SequenceEqual(bySign.Levels)
                && bySign.BitCount <= byEquality.BitCount
                && SymbolsFit(bySign, weights);
        });

    [Fact]
    public void Encode_NegativeZero_ComesBackAsZero() =>
        Assert.Equal<ushort>([0, 0x3F80, 0], QmoeFixture.Decode(QmoeEncoder.Encode([0x8000, 0x3F80, 0], 1, 3)));

    [Theory]
    [InlineData(0x3F80, 0x4000)]
    [InlineData(0xBF80, 0xC000)]
    [InlineData(0x7FC0, 0)]
    [InlineData(0xFF80, 0)]
    public void Encode_RowsThatAreNotTernary_AreRefused(int first, int second) =>
        Assert.Throws<ArgumentException>(() => QmoeEncoder.Encode([0, (ushort)first, (ushort)second], 1, 3));

    [Fact]
    public void Create_PartsThatContradict_AreRefusedByTheReason()
    {
        // Codeword 12 is one pair (1, 0), codeword 0 one pair of zeros, codeword 25 fourteen pairs.
        Refused("span", [12], [0, 2], [0, 0], 2);
        Refused("span", [12], [1, 1], [0, 0], 2);
        Refused("span", [], [0], [], 2);
        Refused("levels", [12], [0, 1], [0], 2);
        Refused("row 0 has the codewords", [12], [0, int.MaxValue, 1], [0, 0, 0, 0], 2);
        Refused("row 1 has the codewords", [12, 12], [0, 1, -1, 2], [0, 0, 0, 0, 0, 0], 2);
        Refused("not finite", [12], [0, 1], [0x7F80, 0], 2);
        Refused("no codewords", [12], [0, 1, 1], [0, 0, 0, 0], 2);
        Refused("holds 1 pairs", [12], [0, 1], [0, 0], 3);
        Refused("holds 14 pairs", [25], [0, 1], [0, 0], 26);
    }

    [Fact]
    public void Create_MutatedParts_DecodeInRangeOrAreRefused()
    {
        ushort[] weights = QmoeFixture.RandomTernary(new Random(1), 6, 61);
        QmoeMatrix valid = QmoeEncoder.Encode(weights, 6, 61);
        int accepted = 0;
        for (int seed = 0; seed < 20_000; seed++)
        {
            var random = new Random(seed);
            (ushort[] codes, int[] offsets, ushort[] levels) =
                (valid.Codes.ToArray(), valid.RowOffsets.ToArray(), valid.Levels.ToArray());
            codes[random.Next(codes.Length)] = (ushort)random.Next(65536);
            if (random.Next(3) == 0)
                offsets[random.Next(offsets.Length)] = random.Next(4) == 0 ? random.Next() : random.Next(-2, 99);
            if (random.Next(3) == 0)
                levels[random.Next(levels.Length)] = (ushort)random.Next(65536);
            if (random.Next(5) == 0)
                Array.Resize(ref codes, random.Next(codes.Length + 9));

            try
            {
                _ = QmoeFixture.Decode(QmoeMatrix.Create("f", "m", codes, offsets, levels, 61, random.Next(2) == 0));
                accepted++;
            }
            catch (MoeFormatException)
            {
                // The only answer to parts that contradict each other.
            }
        }

        // Both answers occur: a codeword of the same length is a valid matrix of other weights.
        Assert.InRange(accepted, 1, 19_999);
    }

    [Fact]
    public void DecodeRow_WrongRowOrSpan_IsTheCallersMistake()
    {
        QmoeMatrix matrix = QmoeEncoder.Encode([0, 0x3F80, 0], 1, 3);
        Assert.Throws<ArgumentOutOfRangeException>(() => matrix.DecodeRow(1, new ushort[3]));
        Assert.Throws<ArgumentException>(() => matrix.DecodeRow(0, new ushort[4]));
        Assert.Throws<ArgumentException>(() => matrix.DecodeSymbols(0, new byte[2]));
    }

    private static bool SymbolsFit(QmoeMatrix matrix, ushort[] weights)
    {
        var symbols = new byte[matrix.Columns];
        for (int row = 0; row < matrix.Rows; row++)
        {
            Array.Fill(symbols, byte.MaxValue);
            matrix.DecodeSymbols(row, symbols);
            for (int i = 0; i < symbols.Length; i++)
            {
                ushort weight = weights[(row * matrix.Columns) + i];
                if (symbols[i] != (weight == 0 ? 0 : weight > 0x8000 ? 1 : 2))
                    return false;
            }
        }

        return true;
    }

    private static void Refused(string reason, ushort[] codes, int[] offsets, ushort[] levels, int columns)
    {
        var e = Assert.Throws<MoeFormatException>(
            () => QmoeMatrix.Create("file.pt", "m", codes, offsets, levels, columns));
        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        Assert.Equal("file.pt", e.File);
    }
}
