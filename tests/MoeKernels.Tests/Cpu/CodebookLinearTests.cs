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
    public void Forward_SeveralParts_EqualsOneByOne()
    {
        CodebookShape shape = new(300, 200, 8, 1), other = new(70, 200, 8, 1);
        using TestCodebook a = new(shape, 1), b = new(other, 2);
        foreach (int tokens in (int[])[1, 18])
        {
            float[] x = CpuTests.Random(new Random(4), tokens * 200);
            float[] expected =
            [
                .. a.Reference(x, 200, tokens),
                .. TestCodebook.Reference(b.View, a.Vectors, x, 200, tokens),
            ];
            using NativeFloats inputs = new(x);
            CpuTests.AssertBits(expected, pool =>
            {
                using NativeFloats ya = new(tokens * 300), yb = new(tokens * 70);
                using NativeBuffer memory = NativeBuffer.Allocate(CodebookTables.ByteCount(shape, tokens), "tables");
                CodebookTables tables = new(shape, tokens, memory.Pointer);
                tables.Build(pool, a.Vectors, inputs.Pointer, 200);
                CodebookPart* parts = stackalloc CodebookPart[]
                {
                    new CodebookPart(a.View, ya.Pointer, 300), new CodebookPart(b.View, yb.Pointer, 70),
                };
                CodebookLinear.Forward(pool, parts, 2, tables);
                return [.. ya.Span, .. yb.Span];
            });
        }
    }

    [Theory]
    [InlineData(5, 1)]
    [InlineData(8, 1)]
    [InlineData(6, 3)]
    public void Forward_ComparedWithDenseWeights_IsClose(int dimension, int stages)
    {
        CodebookShape shape = new(256, 2048, dimension, stages);
        using TestCodebook w = new(shape, 3, extreme: false);
        float[] x = CpuTests.Random(new Random(5), shape.Columns), row = new float[shape.Columns];
        float[] y = w.Reference(x, shape.Columns, 1);
        double error = 0, power = 0;
        for (int r = 0; r < shape.Rows; r++)
        {
            CodebookReference.Unpack(w.View, w.Vectors, r, row);
            double exact = row.Zip(x, (a, b) => (double)a * b).Sum();
            error += (y[r] - exact) * (y[r] - exact);
            power += exact * exact;
        }

        Assert.InRange(Math.Sqrt(error / power), 1e-4, 0.05);
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
            using GuardedMemory tables = new((int)CodebookTables.ByteCount(shape, tokens));
            using GuardedFloats x = new(tokens * shape.Columns), y = new(tokens * shape.Rows);
            using WorkerPool pool = new(1);
            source.Codes.CopyTo(new Span<byte>(codes.Pointer, (int)shape.CodeBytes));
            source.Scales.CopyTo(new Span<ushort>(scales.Pointer, shape.PaddedRows));
            new Span<float>(x.Pointer, tokens * shape.Columns).Fill(1);
            CodebookMatrix w = new(shape, codes.Pointer, (ushort*)scales.Pointer);
            CpuTests.AtEveryLevel(level =>
            {
                CodebookTables view = new(shape, tokens, tables.Pointer);
                view.Build(pool, source.Vectors, x.Pointer, shape.Columns);
                CodebookLinear.Forward(pool, w, view, y.Pointer, shape.Rows);
            });
        }
    }

    [Fact]
    public void Forward_AfterTheFirstCall_AllocatesNothing()
    {
        CodebookShape shape = new(320, 200, 8, 1);
        using TestCodebook w = new(shape, 11);
        using NativeFloats x = new(CpuTests.Random(new Random(1), 5 * 200)), y = new(5 * 320);
        using NativeBuffer memory = NativeBuffer.Allocate(CodebookTables.ByteCount(shape, 5), "tables");
        using WorkerPool pool = new(2);
        long before = 0;
        for (int round = 0; round < 3; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            for (int tokens = 1; tokens <= 5; tokens += 4)
            {
                CodebookTables tables = new(shape, tokens, memory.Pointer);
                tables.Build(pool, w.Vectors, x.Pointer, 200);
                CodebookLinear.Forward(pool, w.View, tables, y.Pointer, 320);
            }
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Build_CodebookOfAnotherShape_IsRefused()
    {
        using TestCodebook w = new(new CodebookShape(64, 64, 8, 1), 12);
        using WorkerPool pool = new(1);
        CodebookTables tables = new(new CodebookShape(64, 64, 4, 1), 0, null);
        Assert.Throws<ArgumentException>(() => tables.Build(pool, w.Vectors, null, 0));
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
        using NativeBuffer memory = NativeBuffer.Allocate(CodebookTables.ByteCount(w.Shape, tokens), "tables");
        memory.AsSpan<byte>().Fill(0xFF);
        CodebookTables tables = new(w.Shape, tokens, memory.Pointer);
        tables.Build(pool, w.Vectors, x, xStride);
        CodebookLinear.Forward(pool, w.View, tables, y.Pointer, yStride);
        return y.Rows(tokens, w.Shape.Rows, yStride);
    }
}
