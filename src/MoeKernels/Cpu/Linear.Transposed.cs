using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

// Projections from the other side of a matrix: one fused multiply-add chain per output, ascending in the rows of W.
internal static unsafe partial class Linear
{
    private const int ColumnBlock = 128;
    private const int RowBlock = 64;
    private const int TokenBlock = 32;

    /// <summary>Computes <c>y[t, c] = Σr x[t, r] w[r, c]</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="x">Input, [tokens × rows].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    /// <param name="y">Output, [tokens × columns]; must not overlap <paramref name="x"/>.</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void ForwardTransposed(
        WorkerPool pool, in WeightMatrix w, float* x, nint xStride, int tokens, float* y, nint yStride) =>
        ForwardTransposedHeads(pool, w, 1, w.Rows, w.Rows, x, xStride, 0, tokens, y, yStride, 0);

    /// <summary>Computes, for each head h whose rows start at <c>h * headStride</c>,
    /// <c>y[t, h, c] = Σr x[t, h, r] w[h * headStride + r, c]</c> (MLA: queries into the latent space).</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="heads">Number of heads.</param>
    /// <param name="headStride">Rows of <paramref name="w"/> from one head to the next.</param>
    /// <param name="headRows">Rows of a head that take part.</param>
    /// <param name="x">Input, [tokens × heads × headRows].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="xHeadStride">Distance between two heads of a token of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    /// <param name="y">Output, [tokens × heads × columns].</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    /// <param name="yHeadStride">Distance between two heads of a token of <paramref name="y"/> in elements.</param>
    public static void ForwardTransposedHeads(
        WorkerPool pool, in WeightMatrix w, int heads, int headStride, int headRows,
        float* x, nint xStride, nint xHeadStride, int tokens, float* y, nint yStride, nint yHeadStride)
    {
        TransposedWork work = new()
        {
            Weights = w,
            HeadStride = headStride,
            HeadRows = headRows,
            X = x,
            XStride = xStride,
            XHeadStride = xHeadStride,
            TokenCount = tokens,
            Y = y,
            YStride = yStride,
            YHeadStride = yHeadStride,
            ColumnBlocks = (w.Columns + ColumnBlock - 1) / ColumnBlock,
            TokenBlocks = (tokens + TokenBlock - 1) / TokenBlock,
        };
        pool.Run(ref work, heads * work.ColumnBlocks * work.TokenBlocks);
    }

    /// <summary>Some tokens and columns of one head; rows are unpacked in blocks that all tokens use.</summary>
    [SkipLocalsInit]
    private static void TransposedBlock<T>(in TransposedWork work, int head, int column, int token)
        where T : struct, IVec16<T>
    {
        byte* memory = stackalloc byte[(sizeof(float) * ColumnBlock * (RowBlock + TokenBlock)) + 64];
        float* panel = (float*)(((nint)memory + 63) & ~63);
        float* sums = panel + (RowBlock * ColumnBlock);
        int columns = Math.Min(ColumnBlock, work.Weights.Columns - column);
        int tokens = Math.Min(TokenBlock, work.TokenCount - token);
        new Span<float>(sums, tokens * ColumnBlock).Clear();
        float* x = work.X + (token * work.XStride) + (head * work.XHeadStride);
        for (int row = 0; row < work.HeadRows; row += RowBlock)
        {
            int rows = Math.Min(RowBlock, work.HeadRows - row);
            for (int r = 0; r < rows; r++)
            {
                int stored = (head * work.HeadStride) + row + r;
                Unpack.Row<T>(work.Weights, stored, column, columns, panel + (r * ColumnBlock), 16);
            }

            ColumnTile.Add<T>(
                panel, ColumnBlock, rows, (columns + 15) / 16, x + row, work.XStride, tokens, sums, ColumnBlock);
        }

        float* y = work.Y + (token * work.YStride) + (head * work.YHeadStride) + column;
        for (int t = 0; t < tokens; t++)
            new Span<float>(sums + (t * ColumnBlock), columns).CopyTo(new Span<float>(y + (t * work.YStride), columns));
    }

    private struct TransposedWork : IWork
    {
        public WeightMatrix Weights;
        public float* X, Y;
        public nint XStride, XHeadStride, YStride, YHeadStride;
        public int HeadStride, HeadRows, TokenCount, ColumnBlocks, TokenBlocks;

        public void Execute(int begin, int end, int worker)
        {
            TransposedKernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct TransposedKernel : IVecKernel
    {
        public TransposedWork Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            for (int item = Begin; item < End; item++)
            {
                int column = item % Work.ColumnBlocks * ColumnBlock;
                int token = item / Work.ColumnBlocks % Work.TokenBlocks * TokenBlock;
                TransposedBlock<T>(Work, item / (Work.ColumnBlocks * Work.TokenBlocks), column, token);
            }
        }
    }
}
