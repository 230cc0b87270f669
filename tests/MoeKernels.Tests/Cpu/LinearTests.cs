using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class LinearTests
{
    public static TheoryData<WeightFormat> Formats { get; } = [.. Enum.GetValues<WeightFormat>()];

    /// <summary>Formats whose products are exact; codebook matrices are looked up instead.</summary>
    public static TheoryData<WeightFormat> ExactFormats { get; } = [.. Exact];

    internal static IEnumerable<WeightFormat> Exact =>
        Enum.GetValues<WeightFormat>()
            .Where(format => format is not (WeightFormat.Codebook or WeightFormat.TernaryTiles));

    [Theory]
    [MemberData(nameof(ExactFormats))]
    public void Forward_OneToken_HasTheBitsOfTheReference(WeightFormat format)
    {
        foreach (int length in CpuTests.Lengths)
            Check(format, rows: 1 + (length % 9), TestMatrix.Columns(format, length), tokens: 1, seed: length);
    }

    [Theory]
    [MemberData(nameof(ExactFormats))]
    public void Forward_ManyTokens_HasTheBitsOfTheReference(WeightFormat format)
    {
        foreach (int tokens in (int[])[0, 2, 3, 4, 5, 6, 7, 11, 13, 48, 49, 101])
        {
            int columns = TestMatrix.Columns(format, 17 + (tokens * 7 % 96));
            Check(format, rows: 18 + (tokens % 5), columns, tokens, seed: tokens);
        }

        Check(format, rows: 7, TestMatrix.Columns(format, 2070), tokens: 8, seed: 5);
    }

    [Theory]
    [InlineData(128)]
    [InlineData(20)]
    [InlineData(7)]
    public void Forward_Fp8Blocks_ScaleEachElementOnce(int blockColumns)
    {
        using TestMatrix w = new(WeightFormat.F8E4M3, 21, 300, 4, blockRows: 4, blockColumns);
        Check(w.View, tokens: 1, seed: 1, bias: true);
        Check(w.View, tokens: 7, seed: 2, bias: false);
        Check(w.View.Slice(5, 11), tokens: 3, seed: 3, bias: false);
    }

    [Fact]
    public void Forward_EverySecondRow_IsAView()
    {
        foreach (WeightFormat format in Exact.Where(f => f != WeightFormat.F8E4M3))
        {
            using TestMatrix w = new(format, 14, 64, 9);
            Check(w.View.EverySecondRow(0), tokens: 1, seed: 1, bias: true);
            Check(w.View.EverySecondRow(1), tokens: 5, seed: 2, bias: true);
        }
    }

    [Fact]
    public void Forward_SeveralParts_EqualsOneByOne()
    {
        using TestMatrix q = new(WeightFormat.BF16, 40, 70, 1);
        using TestMatrix k = new(WeightFormat.F32, 3, 70, 2);
        using TestMatrix v = new(WeightFormat.F16, 17, 70, 3);
        foreach (int tokens in (int[])[1, 9, 60])
        {
            using NativeFloats x = new(CpuTests.Random(new Random(4), tokens * 70));
            float[] expected =
            [
                .. Reference(q.View, null, x, 70, tokens),
                .. Reference(k.View, null, x, 70, tokens),
                .. Reference(v.View, null, x, 70, tokens),
            ];
            CpuTests.AssertBits(expected, pool =>
            {
                using NativeFloats yq = new(tokens * 40), yk = new(tokens * 3), yv = new(tokens * 17);
                LinearPart* parts = stackalloc LinearPart[]
                {
                    new LinearPart(q.View, null, yq.Pointer, 40),
                    new LinearPart(k.View, null, yk.Pointer, 3),
                    new LinearPart(v.View, null, yv.Pointer, 17),
                };
                Linear.Forward(pool, parts, 3, x.Pointer, 70, tokens);
                return [.. yq.Span, .. yk.Span, .. yv.Span];
            });
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void ForwardTransposed_AnyShape_IsOneChainPerColumn(WeightFormat format)
    {
        foreach ((int rows, int columns, int tokens) in new[] { (1, 1, 1), (5, 33, 2), (70, 129, 7), (130, 300, 35) })
        {
            using TestMatrix w = new(format, rows, TestMatrix.Columns(format, columns), rows);
            int width = w.View.Columns;
            using NativeFloats x = new(CpuTests.Random(new Random(rows), tokens * (rows + 3)));
            float[] expected = new float[tokens * width];
            for (int t = 0; t < tokens; t++)
            {
                for (int c = 0; c < width; c++)
                    expected[(t * width) + c] = Chain(w.View, 0, rows, c, x.Pointer + (t * (rows + 3)));
            }

            CpuTests.AssertBits(expected, pool =>
            {
                using NativeFloats y = new(tokens * (width + 5));
                Linear.ForwardTransposed(pool, w.View, x.Pointer, rows + 3, tokens, y.Pointer, width + 5);
                return y.Rows(tokens, width, width + 5);
            });
        }
    }

    [Fact]
    public void ForwardHeads_BothSides_MatchTheirSlices()
    {
        const int Heads = 3, Nope = 20, Value = 12, Rank = 50, Tokens = 9;
        using TestMatrix w = new(WeightFormat.BF16, Heads * (Nope + Value), Rank, 8);
        using NativeFloats q = new(CpuTests.Random(new Random(1), Tokens * Heads * (Nope + 4)));
        using NativeFloats c = new(CpuTests.Random(new Random(2), Tokens * Heads * Rank));
        float[] absorbed = new float[Tokens * Heads * Rank];
        float[] values = new float[Tokens * Heads * Value];
        for (int t = 0; t < Tokens; t++)
        {
            for (int h = 0; h < Heads; h++)
            {
                int row = h * (Nope + Value);
                float* qh = q.Pointer + (((t * Heads) + h) * (Nope + 4));
                for (int r = 0; r < Rank; r++)
                    absorbed[(((t * Heads) + h) * Rank) + r] = Chain(w.View, row, Nope, r, qh);
                float* ch = c.Pointer + (((t * Heads) + h) * Rank);
                for (int r = 0; r < Value; r++)
                    values[(((t * Heads) + h) * Value) + r] = ReferenceDot.Row(w.View, row + Nope + r, ch);
            }
        }

        CpuTests.AssertBits(absorbed, pool =>
        {
            using NativeFloats y = new(Tokens * Heads * Rank);
            Linear.ForwardTransposedHeads(
                pool, w.View, Heads, Nope + Value, Nope, q.Pointer, Heads * (Nope + 4), Nope + 4, Tokens, y.Pointer,
                Heads * Rank, Rank);
            return y.Span.ToArray();
        });
        CpuTests.AssertBits(values, pool =>
        {
            using NativeFloats y = new(Tokens * Heads * Value);
            Linear.ForwardHeads(
                pool, w.View.Slice(Nope, w.View.Rows - Nope), Heads, Nope + Value, Value, c.Pointer, Heads * Rank, Rank,
                Tokens, y.Pointer, Heads * Value, Value);
            return y.Span.ToArray();
        });
    }

    [Fact]
    public void Reference_AnotherOrder_GivesOtherBits()
    {
        // The comparison can fail: a plain ascending sum differs from the canonical order.
        using TestMatrix w = new(WeightFormat.F32, 1, 513, 3);
        using NativeFloats x = new(CpuTests.Random(new Random(7), 513));
        float plain = 0;
        for (int k = 0; k < 513; k++)
            plain = MathF.FusedMultiplyAdd(WeightElement.Get(w.View, 0, k), x.Pointer[k], plain);
        Assert.NotEqual(plain, ReferenceDot.Row(w.View, 0, x.Pointer));
    }

    private static float Chain(in WeightMatrix w, int row, int rows, int column, float* x)
    {
        float sum = 0;
        for (int r = 0; r < rows; r++)
            sum = MathF.FusedMultiplyAdd(x[r], WeightElement.Get(w, row + r, column), sum);
        return sum;
    }

    private static void Check(WeightFormat format, int rows, int columns, int tokens, int seed)
    {
        using TestMatrix w = new(format, rows, columns, seed);
        Check(w.View, tokens, seed, bias: (seed & 1) != 0);
    }

    private static void Check(WeightMatrix w, int tokens, int seed, bool bias)
    {
        Random random = new(seed);
        int xStride = w.Columns + random.Next(4);
        int yStride = w.Rows + random.Next(4);
        using NativeFloats b = new(CpuTests.Random(random, w.Rows));
        using NativeFloats x = new(tokens * xStride);
        for (int t = 0; t < tokens; t++)
            CpuTests.Random(random, w.Columns).CopyTo(x.Span[(t * xStride)..]);
        float* biases = bias ? b.Pointer : null;
        float[] expected = Reference(w, biases, x, xStride, tokens);
        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats y = new(tokens * yStride);
            Linear.Forward(pool, w, biases, x.Pointer, xStride, tokens, y.Pointer, yStride);
            return y.Rows(tokens, w.Rows, yStride);
        });
    }

    private static float[] Reference(in WeightMatrix w, float* bias, NativeFloats x, int xStride, int tokens)
    {
        float[] y = new float[tokens * w.Rows];
        for (int t = 0; t < tokens; t++)
        {
            for (int r = 0; r < w.Rows; r++)
            {
                float sum = ReferenceDot.Row(w, r, x.Pointer + (t * xStride));
                y[(t * w.Rows) + r] = bias == null ? sum : sum + bias[r];
            }
        }

        return y;
    }
}
