using CsCheck;
using MoeKernels.Cpu;
using MoeKernels.Packed;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cpu;

/// <summary>Tables and lookups of every instruction set against the plain loops.</summary>
[Collection("Cpu")]
public sealed unsafe class CodebookLinearTests
{
    [Theory]
    [InlineData(1, 1, 1, 1, 1)]
    [InlineData(63, 7, 8, 1, 2)]
    [InlineData(65, 513, 8, 1, 1)]
    [InlineData(130, 500, 5, 2, 6)]
    [InlineData(70, 333, 6, 3, 9)]
    [InlineData(257, 1100, 16, 1, 3)]
    [InlineData(200, 90, 7, 4, 17)]
    [InlineData(600, 165, 10, 1, 21)]
    [InlineData(9000, 20, 3, 1, 1)]
    [InlineData(385, 640, 4, 1, 4)]
    public void Forward_OddShapes_HasTheBitsOfTheReference(int rows, int columns, int dimension, int stages, int tokens)
        => Check(new CodebookShape(rows, columns, dimension, stages), tokens, rows);

    [Fact]
    public void Forward_AnyShape_HasTheBitsOfTheReference() =>
        Gen.Select(Gen.Int[1, 330], Gen.Int[1, 300], Gen.Int[1, 16], Gen.Int[1, 4], Gen.Int[0, 9]).Sample(
            (rows, columns, dimension, stages, tokens) =>
                Check(new CodebookShape(rows, columns, dimension, stages), tokens, rows + columns),
            iter: 12, threads: 1);

    [Fact]
    public void Forward_PartsOfSeveralCodebooksAndFormats_EqualsOneByOne()
    {
        using TestCodebook a = new(new(300, 200, 8, 1), 1), b = new(new(70, 200, 8, 1), 2);
        using TestCodebook c = new(new(65, 200, 5, 3), 3, inputScales: true);
        using TestMatrix dense = new(WeightFormat.BF16, 33, 200, 4);
        using NativeFloats bias = new(CpuTests.Random(new Random(5), 70));
        foreach (int tokens in (int[])[1, 18])
        {
            float[] x = CpuTests.Random(new Random(4), tokens * 200);
            float[] yb = TestCodebook.Reference(b.View, a.Vectors, x, 200, tokens);
            for (int i = 0; i < yb.Length; i++)
                yb[i] += bias.Pointer[i % 70];
            using NativeFloats inputs = new(x);
            IEnumerable<float> densely = Enumerable.Range(0, tokens * 33)
                .Select(i => ReferenceDot.Row(dense.View, i % 33, inputs.Pointer + (i / 33 * 200)));
            float[] expected =
                [.. a.Reference(x, 200, tokens), .. densely, .. yb, .. c.Reference(x, 200, tokens)];
            CpuTests.AssertBits(expected, pool =>
            {
                using NativeFloats y = new(tokens * 468);
                LinearPart* parts = stackalloc LinearPart[]
                {
                    new LinearPart(a.Matrix, null, y.Pointer, 300),
                    new LinearPart(dense.View, null, y.Pointer + (tokens * 300), 33),
                    new LinearPart(b.MatrixWith(a.Vectors), bias.Pointer, y.Pointer + (tokens * 333), 70),
                    new LinearPart(c.Matrix, null, y.Pointer + (tokens * 403), 65),
                };
                Linear.Forward(pool, parts, 4, inputs.Pointer, 200, tokens);
                return y.Span.ToArray();
            });
        }
    }

    [Fact]
    public void Forward_MoreTokensThanTheTablesHold_HasTheBitsOfTheReference() =>
        Check(new CodebookShape(3, 2048, 1, 4), 37, 13);

    [Fact]
    public void Forward_InputScales_HasTheBitsOfTheReference()
    {
        foreach ((CodebookShape shape, int tokens) in (ReadOnlySpan<(CodebookShape, int)>)
            [(new(65, 513, 8, 1), 1), (new(130, 333, 6, 3), 9)])
        {
            using TestCodebook w = new(shape, 14, inputScales: true);
            float[] x = CpuTests.Random(new Random(15), tokens * shape.Columns);
            Check(w, x, shape.Columns, tokens);
        }
    }

    [Fact]
    public void Forward_OutlierChannels_AreHarmlessWithInputScales()
    {
        // Every 200th input is 50 times as large as the others; its weights are small instead, as quantisers fold it.
        CodebookShape shape = new(256, 2000, 8, 1);
        Half[] scales = new Half[shape.Columns];
        float[] x = CpuTests.Random(new Random(16), shape.Columns);
        for (int i = 0; i < scales.Length; i++)
        {
            bool isOutlier = i % 200 == 77;
            scales[i] = (Half)(isOutlier ? 1f / 50 : 1f);
            x[i] *= isOutlier ? 50 : 1;
        }

        using TestCodebook w = new(shape, 17, extreme: false);
        using Codebook scaled = new(8, 1, w.Vectors.Vectors, scales);
        double folded = RelativeError(w.MatrixWith(scaled), x);
        Assert.InRange(folded, 1e-4, 0.0125);

        // The same outliers with full weights and no factors swamp the other inputs.
        Assert.True(SmallInputsError(w.Matrix, x) > 4 * SmallInputsError(w.MatrixWith(scaled), x));
    }

    [Theory]
    [InlineData(5, 1)]
    [InlineData(8, 1)]
    [InlineData(6, 3)]
    public void Forward_ComparedWithDenseWeights_IsClose(int dimension, int stages)
    {
        CodebookShape shape = new(256, 2048, dimension, stages);
        using TestCodebook w = new(shape, 3, extreme: false);
        float[] x = CpuTests.Random(new Random(5), shape.Columns);

        // Rounding a table adds step / sqrt(12) to an entry, where the largest of 64 x 128 entries, about 4.5 times
        // their root mean square, is 127.5 steps: .0102. Inputs, whose largest of 8 is 1.54
        // times it: 1.54 / (127 sqrt(12)) = .0035.
        Assert.InRange(RelativeError(w.Matrix, x), 1e-4, 0.0125);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(16)]
    public void Forward_GroupsOfAnyMagnitude_HasTheBitsOfTheReference(int dimension)
    {
        CodebookShape shape = new(70, 1101, dimension, 1);
        using TestCodebook w = new(shape, 18);
        float[] x = CpuTests.Random(new Random(19), 2 * shape.Columns);
        ReadOnlySpan<float> magnitudes = [1, 1e-2f, 0, 3e-5f, 1e-30f, 1e-44f, 1e30f];
        for (int i = 0; i < x.Length; i++)
            x[i] *= magnitudes[i / 9 % (i < shape.Columns ? 6 : 7)];
        Check(w, x, shape.Columns, 2);
    }

    [Fact]
    public void Forward_InputsWithoutNumbers_StayInTheirToken()
    {
        CodebookShape shape = new(80, 1500, 8, 1);
        using TestCodebook w = new(shape, 6);
        float[] x = CpuTests.Random(new Random(7), 5 * shape.Columns);
        x[700] = float.NaN;
        x[shape.Columns + 3] = float.NegativeInfinity;
        Array.Clear(x, 2 * shape.Columns, shape.Columns);
        x.AsSpan(3 * shape.Columns, shape.Columns).Fill(1e-38f);
        float[] expected = w.Reference(x, shape.Columns, 5);
        Assert.All(expected[..160], value => Assert.True(float.IsNaN(value)));
        Assert.All(expected[160..320], value => Assert.Equal(0, value));
        Assert.Contains(expected[320..], value => value != 0);
        Check(w, x, shape.Columns, 5);
    }

    [Fact]
    public void Forward_OneWrongBit_ShowsInItsRowOnly()
    {
        CodebookShape shape = new(140, 300, 8, 1);
        using TestCodebook w = new(shape, 8);
        using NativeFloats x = new(CpuTests.Random(new Random(9), 300));
        float[] right = w.Reference(x.Span, 300, 1);
        foreach (int bit in (int[])[0, 6, 7])
        {
            w.Codes[(int)shape.ByteOf(100, 33)] ^= (byte)(1 << bit);
            CpuTests.AtEveryLevel(level =>
            {
                float[] y = Run(w, x.Pointer, 300, 1);
                Assert.Equal([100], Enumerable.Range(0, 140).Where(row => y[row] != right[row]));
            });
            w.Codes[(int)shape.ByteOf(100, 33)] ^= (byte)(1 << bit);
        }
    }

    [Fact]
    public void Forward_OperandsAtTheEndOfMemory_ReadsNothingBehindThem()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "guard pages are set up with mmap");
        foreach ((CodebookShape shape, int tokens) in (ReadOnlySpan<(CodebookShape, int)>)
            [(new(65, 41, 5, 1), 1), (new(320, 700, 16, 1), 6), (new(1, 1, 1, 3), 4), (new(300, 100, 3, 2), 5)])
        {
            using TestCodebook source = new(shape, 10);
            using GuardedMemory codes = new((int)shape.CodeBytes), scales = new(2 * shape.PaddedRows);
            using GuardedFloats x = new(tokens * shape.Columns), y = new(tokens * shape.Rows);
            using WorkerPool pool = new(1);
            source.Codes.CopyTo(new Span<byte>(codes.Pointer, (int)shape.CodeBytes));
            source.Scales.CopyTo(new Span<ushort>(scales.Pointer, shape.PaddedRows));
            new Span<float>(x.Pointer, tokens * shape.Columns).Fill(1);
            WeightMatrix w = WeightMatrix.Codebook(
                codes.Pointer, shape.Rows, shape.Columns, (ushort*)scales.Pointer, source.Vectors.Native);
            CpuTests.AtEveryLevel(level =>
                Linear.Forward(pool, w, null, x.Pointer, shape.Columns, tokens, y.Pointer, shape.Rows));
        }
    }

    [Fact]
    public void Forward_AfterTheFirstCall_AllocatesNothing()
    {
        CodebookShape shape = new(320, 200, 8, 1);
        using TestCodebook w = new(shape, 11);
        using NativeFloats x = new(CpuTests.Random(new Random(1), 5 * 200)), y = new(5 * 320);
        using WorkerPool pool = new(2);
        long before = 0;
        for (int round = 0; round < 3; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            for (int tokens = 1; tokens <= 5; tokens += 4)
                Linear.Forward(pool, w.Matrix, null, x.Pointer, 200, tokens, y.Pointer, 320);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static void Check(CodebookShape shape, int tokens, int seed)
    {
        using TestCodebook w = new(shape, seed);
        Random random = new(seed);
        int stride = shape.Columns + random.Next(4);
        float[] x = new float[tokens * stride];
        Array.Fill(x, float.NaN);
        for (int t = 0; t < tokens; t++)
            CpuTests.Random(random, shape.Columns, MathF.Exp(random.Next(-20, 20))).CopyTo(x.AsSpan(t * stride));
        Check(w, x, stride, tokens);
    }

    private static void Check(TestCodebook w, float[] x, int xStride, int tokens)
    {
        using NativeFloats inputs = new(x);
        CpuTests.AssertBits(
            w.Reference(x, xStride, tokens), pool => Run(pool, w, inputs.Pointer, xStride, tokens));
    }

    private static float[] Run(TestCodebook w, float* x, int xStride, int tokens)
    {
        using WorkerPool pool = new(1);
        return Run(pool, w, x, xStride, tokens);
    }

    private static float[] Run(WorkerPool pool, TestCodebook w, float* x, int xStride, int tokens)
    {
        int yStride = w.Shape.Rows + 3;
        using NativeFloats y = new(tokens * yStride);
        Poison(pool);
        Linear.Forward(pool, w.Matrix, null, x, xStride, tokens, y.Pointer, yStride);
        return y.Rows(tokens, w.Shape.Rows, yStride);
    }

    /// <summary>Fills the memory that the next call gets for its tables.</summary>
    internal static void Poison(WorkerPool pool)
    {
        const int Bytes = 1 << 18;
        using ScratchPool.Lease lease = pool.Rent(Bytes);
        new Span<byte>(lease.Pointer, Bytes).Fill(0xFF);
    }

    /// <summary>Root of the error's power over the result's.</summary>
    private static double RelativeError(in WeightMatrix w, float[] x)
    {
        (double error, double power) = Error(w, x);
        return Math.Sqrt(error / power);
    }

    /// <summary>Root of the error's power over the power of what inputs other than the outliers contribute.</summary>
    private static double SmallInputsError(in WeightMatrix w, float[] x)
    {
        float[] small = [.. x.Select((value, i) => i % 200 == 77 ? 0 : value)];
        return Math.Sqrt(Error(w, x).Error / Error(w, small).Power);
    }

    private static (double Error, double Power) Error(WeightMatrix w, float[] x)
    {
        using NativeFloats inputs = new(x), y = new(w.Rows);
        using WorkerPool pool = new(1);
        Linear.Forward(pool, w, null, inputs.Pointer, w.Columns, 1, y.Pointer, w.Rows);
        double error = 0, power = 0;
        for (int r = 0; r < w.Rows; r++)
        {
            double exact = x.Select((value, k) => (double)WeightElement.Get(w, r, k) * value).Sum();
            error += (y.Pointer[r] - exact) * (y.Pointer[r] - exact);
            power += exact * exact;
        }

        return (error, power);
    }
}
