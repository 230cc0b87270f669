using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Cpu;

/// <summary>A block of some weight rows and some tokens: what one worker computes at a time.</summary>
/// <remarks>
/// Several tokens share weights that are unpacked into a panel once per block of columns, so every format runs the same
/// single-precision tiles. Panel (32 KiB) and sums live on the worker's stack.
/// </remarks>
internal static unsafe class GemmBlock
{
    /// <summary>Weight rows of a block.</summary>
    public const int Rows = 16;

    /// <summary>Most weight rows of neighbouring blocks that are worth joining for one token.</summary>
    public const int StreamRows = Rows * Tokens;

    /// <summary>Most tokens of a block: their inputs stay in the second-level cache while weights stream.</summary>
    public const int Tokens = 48;

    // Four rows of it fill two thirds of a first-level cache of 48 KiB.
    private const int Columns = 2048;

    /// <summary>Blocks of a product.</summary>
    public static int Count(int rows, int tokens) => (rows + Rows - 1) / Rows * ((tokens + Tokens - 1) / Tokens);

    /// <summary>Rows and tokens of block <paramref name="block"/>; the tokens' blocks are the slow axis.</summary>
    /// <returns>Blocks covered: 1, or with one token as many of [block, end) as make a long stream of rows.</returns>
    public static int Locate(
        int block, int end, int rows, int tokens, out int row, out int rowCount, out int token, out int tokenCount)
    {
        int rowBlocks = (rows + Rows - 1) / Rows;
        int covered = tokens == 1 ? Math.Min(end - block, StreamRows / Rows) : 1;
        row = block % rowBlocks * Rows;
        token = block / rowBlocks * Tokens;
        rowCount = Math.Min(covered * Rows, rows - row);
        tokenCount = Math.Min(Tokens, tokens - token);
        return covered;
    }

    /// <summary>Computes <c>y[t, r] = bias[r] + Σk w[row + r, k] x[t, k]</c>.</summary>
    /// <param name="w">The whole matrix.</param>
    /// <param name="row">First row of the block.</param>
    /// <param name="rows">At most <see cref="Rows"/>, or <see cref="StreamRows"/> for one token.</param>
    /// <param name="bias">Bias of the first row of the block, or null.</param>
    /// <param name="x">First token.</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">At most <see cref="Tokens"/>.</param>
    /// <param name="y">Output of the first token and first row of the block.</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void Forward<T>(
        in WeightMatrix w, int row, int rows, float* bias, float* x, nint xStride, int tokens, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        if (tokens == 1)
            RowStream.Forward<T>(w, row, rows, x, y);
        else
            Panels<T>(w, row, rows, x, xStride, tokens, y, yStride);

        if (bias == null)
            return;
        for (int t = 0; t < tokens; t++)
            AddBias(y + (t * yStride), bias, rows);
    }

    private static void AddBias(float* y, float* bias, int count)
    {
        for (int i = 0; i < count; i++)
            y[i] += bias[i];
    }

    [SkipLocalsInit]
    private static void Panels<T>(
        in WeightMatrix w, int row, int rows, float* x, nint xStride, int tokens, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        byte* memory = stackalloc byte[(sizeof(float) * DotTile.Rows * (Columns + (Tokens * 16))) + 64];
        float* panel = (float*)(((nint)memory + 63) & ~63);
        float* sums = panel + (DotTile.Rows * Columns);
        nint pitch = 16 * (nint)tokens;
        for (int first = 0; first < rows; first += DotTile.Rows)
        {
            int panelRows = Math.Min(DotTile.Rows, rows - first);
            new Span<float>(sums, (int)(DotTile.Rows * pitch)).Clear();
            for (int column = 0; column < w.Columns; column += Columns)
            {
                int columns = Math.Min(Columns, w.Columns - column);
                FillPanel<T>(w, row + first, panelRows, column, columns, panel);
                AddPanel<T>(panel, columns, x + column, xStride, tokens, sums, pitch);
            }

            Reduce<T>(sums, pitch, tokens, panelRows, y + first, yStride);
        }
    }

    private static void FillPanel<T>(in WeightMatrix w, int row, int rows, int column, int columns, float* panel)
        where T : struct, IVec16<T>
    {
        for (int r = 0; r < rows; r++)
        {
            Unpack.Row<T>(w, row + r, column, columns, panel + (r * 16), DotTile.Step);
            PrefetchNext(w, row + r, column + Columns);
        }

        // The panel's missing rows are computed and not stored; they must not be slow (denormal, NaN) by accident.
        for (int r = rows; r < DotTile.Rows; r++)
        {
            for (int step = 0; step < columns; step += 16)
                T.Store(T.Zero, panel + (r * 16) + (step / 16 * DotTile.Step));
        }
    }

    // Memory is silent while a panel is multiplied, so the hardware has no stream to follow: ask for the next one now.
    private static void PrefetchNext(in WeightMatrix w, int row, int column)
    {
        if (column >= w.Columns)
        {
            row += DotTile.Rows;
            column = 0;
        }

        if (!Sse.IsSupported || row >= w.Rows)
            return;
        nint bytes = w.RowBytes * Math.Min(Columns, w.Columns - column) / w.Columns;
        byte* piece = w.Row(row) + (w.RowBytes * column / w.Columns);
        for (nint i = 0; i < bytes; i += 64)
            Sse.Prefetch1(piece + i);
    }

    [SkipLocalsInit]
    private static void AddPanel<T>(
        float* panel, int columns, float* x, nint xStride, int tokens, float* sums, nint pitch)
        where T : struct, IVec16<T>
    {
        int steps = columns / 16;
        int rest = columns % 16;
        float* last = stackalloc float[16 * DotTile.Tokens];
        for (int token = 0; token < tokens; token += DotTile.Tokens)
        {
            int count = Math.Min(DotTile.Tokens, tokens - token);
            float* input = x + (token * xStride);
            float* tile = sums + (16 * token);
            DotTile.Add<T>(panel, steps, input, xStride, count, tile, pitch);
            if (rest == 0)
                continue;
            for (int t = 0; t < count; t++)
                T.Store(VecTail.Load<T>(input + (t * xStride) + (16 * steps), rest), last + (16 * t));
            DotTile.Add<T>(panel + (steps * DotTile.Step), 1, last, 16, count, tile, pitch);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Reduce<T>(float* sums, nint pitch, int tokens, int rows, float* y, nint yStride)
        where T : struct, IVec16<T>
    {
        float* four = stackalloc float[DotTile.Rows];
        for (int t = 0; t < tokens; t++)
        {
            float* s = sums + (16 * t);
            float* output = rows == DotTile.Rows ? y + (t * yStride) : four;
            T.Sum4(T.Load(s), T.Load(s + pitch), T.Load(s + (2 * pitch)), T.Load(s + (3 * pitch)), output);
            for (int r = 0; rows < DotTile.Rows && r < rows; r++)
                y[(t * yStride) + r] = four[r];
        }
    }
}
