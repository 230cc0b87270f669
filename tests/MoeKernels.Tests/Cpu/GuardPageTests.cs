using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

/// <summary>Every operand ends at a page that must not be touched: one byte too many ends the process.</summary>
[Collection("Cpu")]
public sealed unsafe class GuardPageTests
{
    [Fact]
    public void Projections_OperandsAtTheEndOfMemory_ReadNothingBehindThem()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "guard pages are set up with mmap");
        // Grouped integers lie behind a descriptor: their row is read byte by byte.
        foreach (WeightFormat format in LinearTests.Exact.Where(format => format != WeightFormat.GroupedInt))
        {
            foreach (int length in (int[])[1, 7, 15, 16, 17, 31, 33, 47, 200])
            {
                int columns = TestMatrix.Columns(format, length);
                foreach (int tokens in (int[])[1, 2, 7])
                    Project(format, rows: 6, columns, tokens);
            }
        }
    }

    [Fact]
    public void RowKernels_OperandsAtTheEndOfMemory_ReadNothingBehindThem()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "guard pages are set up with mmap");
        foreach (int n in (int[])[1, 15, 16, 17, 33, 100])
        {
            using GuardedFloats x = new(n), w = new(n), y = new(n);
            using WorkerPool pool = new(1);
            CpuTests.AtEveryLevel(level =>
            {
                Norms.Rms(pool, x.Pointer, n, w.Pointer, 0, 1e-6f, y.Pointer, n, 1, n);
                Norms.Layer(pool, x.Pointer, n, w.Pointer, w.Pointer, 1e-6f, y.Pointer, n, 1, n);
                Softmax.Row(x.Pointer, y.Pointer, n);
                Activations.Softplus(x.Pointer, y.Pointer, n);
                Vec.AddScaled(y.Pointer, x.Pointer, 2, n);
                _ = Vec.Dot(x.Pointer, w.Pointer, n);
                _ = Vec.Sum(x.Pointer, n);
            });
        }
    }

    [Fact]
    public void Attention_CacheAtTheEndOfMemory_ReadsNothingBehindIt()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "guard pages are set up with mmap");
        foreach ((int keyDim, int valueDim) in new[] { (16, 16), (5, 3), (72, 40) })
        {
            using GuardedFloats q = new(2 * keyDim), k = new(70 * keyDim);
            using GuardedFloats v = new(70 * valueDim), y = new(2 * valueDim);
            using GuardedFloats bias = new(2 * 70);
            using WorkerPool pool = new(1);
            int first = 0, last = 69;
            AttentionInput input = new()
            {
                Q = q.Pointer,
                QHeadStride = keyDim,
                K = k.Pointer,
                KStride = keyDim,
                V = v.Pointer,
                VStride = valueDim,
                Y = y.Pointer,
                YHeadStride = valueDim,
                Rows = 1,
                Heads = 2,
                KvHeads = 1,
                KeyDim = keyDim,
                ValueDim = valueDim,
                First = &first,
                Last = &last,
                Scale = 1,
                Bias = bias.Pointer,
                BiasHeadStride = 70,
            };
            CpuTests.AtEveryLevel(level => Attention.Forward(pool, input));
        }
    }

    private static void Project(WeightFormat format, int rows, int columns, int tokens)
    {
        using TestMatrix source = new(format, rows, columns, 1);
        nint rowBytes = source.View.RowBytes;
        int lastBytes = format switch
        {
            WeightFormat.F32 => columns * 4,
            WeightFormat.F8E4M3 => columns,
            WeightFormat.MxFp4 => columns / 2,
            _ => columns * 2,
        };
        int bytes = (int)((rows - 1) * rowBytes) + lastBytes;
        using GuardedMemory memory = new(bytes);
        new Span<byte>(source.View.Data, bytes).CopyTo(new Span<byte>(memory.Pointer, bytes));
        WeightMatrix w = format switch
        {
            WeightFormat.F8E4M3 => WeightMatrix.F8(memory.Pointer, rows, columns, (float*)source.View.Scales, 3, 32),
            WeightFormat.MxFp4 => WeightMatrix.Mx4(memory.Pointer, rows, columns, source.View.Scales),
            _ => new WeightMatrix(format, memory.Pointer, rows, columns, rowBytes),
        };
        using GuardedFloats x = new(tokens * columns), y = new(tokens * rows), back = new(tokens * columns);
        using WorkerPool pool = new(1);
        CpuTests.AtEveryLevel(level =>
        {
            Linear.Forward(pool, w, null, x.Pointer, columns, tokens, y.Pointer, rows);
            Linear.ForwardTransposed(pool, w, y.Pointer, rows, tokens, back.Pointer, columns);
        });
    }
}
