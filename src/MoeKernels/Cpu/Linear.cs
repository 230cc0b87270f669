namespace MoeKernels.Cpu;

/// <summary>Dense projections <c>y = W x + b</c> for every weight format.</summary>
/// <remarks>
/// Each dot product has 16 partial sums by k mod 16, ascending in k with fused multiply-add, then a fixed tree; one
/// token and many tokens, any width and any thread count therefore give the same bits.
/// </remarks>
internal static unsafe partial class Linear
{
    /// <summary>Computes <c>y[t, r] = bias[r] + Σk w[r, k] x[t, k]</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="bias">[rows], or null for none.</param>
    /// <param name="x">Input, [tokens × columns]; nothing behind a row's last column is read.</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    /// <param name="y">Output, [tokens × rows]; must not overlap <paramref name="x"/>.</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void Forward(
        WorkerPool pool, in WeightMatrix w, float* bias, float* x, nint xStride, int tokens, float* y, nint yStride)
    {
        LinearPart part = new(w, bias, y, yStride);
        Forward(pool, &part, 1, x, xStride, tokens);
    }

    /// <summary>Multiplies several matrices with the same input in one parallel region (q, k, v or gate, up).</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="parts">The matrices, all with the same number of columns.</param>
    /// <param name="count">Number of matrices.</param>
    /// <param name="x">Input, [tokens × columns].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    public static void Forward(WorkerPool pool, LinearPart* parts, int count, float* x, nint xStride, int tokens)
    {
        for (int i = 0; pool.Tap is { } tap && i < count; i++)
            tap.Observe(parts[i].Weights, x, xStride, tokens);
        if (CodebookLinear.Any(parts, count))
        {
            CodebookLinear.Forward(pool, parts, count, x, xStride, tokens);
            LinearPart* dense = stackalloc LinearPart[count];
            count = CodebookLinear.Others(parts, count, dense);
            parts = dense;
        }

        if (TileExperts.Any(parts, count))
        {
            LinearPart* dense = stackalloc LinearPart[count];
            count = TileExperts.TakeParts(pool, parts, count, x, xStride, tokens, dense);
            parts = dense;
        }

        PartsWork work = new() { Parts = parts, Count = count, X = x, XStride = xStride, Tokens = tokens };
        int blocks = 0;
        for (int i = 0; i < count; i++)
            blocks += GemmBlock.Count(parts[i].Weights.Rows, tokens);
        pool.Run(ref work, blocks);
    }

    /// <summary>Computes, for each head h whose rows start at <c>h * headStride</c>,
    /// <c>y[t, h, r] = Σk w[h * headStride + r, k] x[t, h, k]</c> (MLA: attended latents to values).</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="headStride">Rows of <paramref name="w"/> from one head to the next.</param>
    /// <param name="headRows">Rows of a head that take part.</param>
    /// <param name="x">Input, [tokens × heads × columns].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="xHeadStride">Distance between two heads of a token of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    /// <param name="y">Output, [tokens × heads × headRows].</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    /// <param name="yHeadStride">Distance between two heads of a token of <paramref name="y"/> in elements.</param>
    public static void ForwardHeads(
        WorkerPool pool, in WeightMatrix w, int heads, int headStride, int headRows,
        float* x, nint xStride, nint xHeadStride, int tokens, float* y, nint yStride, nint yHeadStride)
    {
        HeadsWork work = new()
        {
            Weights = w,
            HeadStride = headStride,
            HeadRows = headRows,
            X = x,
            XStride = xStride,
            XHeadStride = xHeadStride,
            Tokens = tokens,
            Y = y,
            YStride = yStride,
            YHeadStride = yHeadStride,
        };
        pool.Run(ref work, heads * GemmBlock.Count(headRows, tokens));
    }

    private struct PartsWork : IWork
    {
        public LinearPart* Parts;
        public float* X;
        public nint XStride;
        public int Count, Tokens;

        public void Execute(int begin, int end, int worker)
        {
            PartsKernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct PartsKernel : IVecKernel
    {
        public PartsWork Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int first = 0;
            for (LinearPart* part = Work.Parts; part < Work.Parts + Work.Count && first < End; part++)
            {
                int blocks = GemmBlock.Count(part->Weights.Rows, Work.Tokens);
                int last = Math.Min(End - first, blocks);
                for (int block = Math.Max(Begin - first, 0); block < last;)
                    block += Block<T>(*part, block, last);
                first += blocks;
            }
        }

        private readonly int Block<T>(in LinearPart part, int block, int end)
            where T : struct, IVec16<T>
        {
            int covered = GemmBlock.Locate(
                block, end, part.Weights.Rows, Work.Tokens, out int row, out int rows, out int token, out int tokens);
            GemmBlock.Forward<T>(
                part.Weights, row, rows, part.Bias == null ? null : part.Bias + row, Work.X + (token * Work.XStride),
                Work.XStride, tokens, part.Y + (token * part.YStride) + row, part.YStride);
            return covered;
        }
    }

    private struct HeadsWork : IWork
    {
        public WeightMatrix Weights;
        public float* X, Y;
        public nint XStride, XHeadStride, YStride, YHeadStride;
        public int HeadStride, HeadRows, Tokens;

        public void Execute(int begin, int end, int worker)
        {
            HeadsKernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct HeadsKernel : IVecKernel
    {
        public HeadsWork Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int blocks = GemmBlock.Count(Work.HeadRows, Work.Tokens);
            int covered;
            for (int item = Begin; item < End; item += covered)
            {
                int head = item / blocks;
                int block = item % blocks;
                covered = GemmBlock.Locate(
                    block, Math.Min(blocks, block + End - item), Work.HeadRows, Work.Tokens,
                    out int row, out int rows, out int token, out int tokens);
                GemmBlock.Forward<T>(
                    Work.Weights, (head * Work.HeadStride) + row, rows, null,
                    Work.X + (token * Work.XStride) + (head * Work.XHeadStride), Work.XStride, tokens,
                    Work.Y + (token * Work.YStride) + (head * Work.YHeadStride) + row, Work.YStride);
            }
        }
    }
}
