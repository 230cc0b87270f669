using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>Copies of matrix parts in the order in which <see cref="GemmTile"/> reads them; missing rows and columns
/// are zero.</summary>
internal static unsafe class GemmPanels
{
    /// <summary>Panels of rows, [panels × depth × 12], times a factor.</summary>
    public static void Rows(float factor, MatrixView a, int rows, int depth, float* panels)
    {
        for (int i = 0; i < rows; i += GemmTile.Rows, panels += GemmTile.Rows * depth)
        {
            Panel(a.From(i, 0), Math.Min(GemmTile.Rows, rows - i), GemmTile.Rows, depth, panels);
            for (int k = 0; factor != 1 && k < GemmTile.Rows * depth; k++)
                panels[k] *= factor;
        }
    }

    /// <summary>Panels of columns, [panels × depth × 32].</summary>
    public static void Columns(MatrixView b, int depth, int columns, float* panels)
    {
        for (int j = 0; j < columns; j += GemmTile.Columns, panels += GemmTile.Columns * depth)
        {
            Panel(b.From(0, j).Transposed, Math.Min(GemmTile.Columns, columns - j), GemmTile.Columns, depth, panels);
        }
    }

    /// <summary>One panel: the lines of a view, side by side.</summary>
    private static void Panel(MatrixView lines, int count, int width, int depth, float* panel)
    {
        if (count < width)
            new Span<float>(panel, width * depth).Clear();
        if (lines.ColumnStride == 1)
            Interleave(lines.Data, lines.RowStride, count, width, depth, panel);
        else if (count == GemmTile.Columns)
            CopyFull(lines.Data, lines.ColumnStride, depth, panel);
        else
            CopyPart(lines.Data, lines.ColumnStride, count, width, depth, panel);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Interleave(float* source, nint stride, int count, int width, int depth, float* panel)
    {
        int line = 0;
        for (; line + 4 <= count; line += 4, source += 4 * stride)
            InterleaveFour(source, stride, width, depth, panel + line);
        for (; line < count; line++, source += stride)
        {
            for (int k = 0; k < depth; k++)
                panel[(k * width) + line] = source[k];
        }
    }

    /// <summary>Four lines at a time through 4 × 4 transpositions.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InterleaveFour(float* source, nint stride, int width, int depth, float* panel)
    {
        float* s1 = source + stride, s2 = s1 + stride, s3 = s2 + stride;
        int k = 0;
        for (; k + 4 <= depth; k += 4, panel += 4 * width)
        {
            Vector128<float> a = Vector128.Load(source + k), b = Vector128.Load(s1 + k);
            Vector128<float> c = Vector128.Load(s2 + k), d = Vector128.Load(s3 + k);
            Vector128<float> ac = LowPairs(a, c), bd = LowPairs(b, d), ca = HighPairs(a, c), db = HighPairs(b, d);
            LowPairs(ac, bd).Store(panel);
            HighPairs(ac, bd).Store(panel + width);
            LowPairs(ca, db).Store(panel + (2 * width));
            HighPairs(ca, db).Store(panel + (3 * width));
        }

        for (; k < depth; k++, panel += width)
            (panel[0], panel[1], panel[2], panel[3]) = (source[k], s1[k], s2[k], s3[k]);
    }

    /// <summary>x0 y0 x1 y1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> LowPairs(Vector128<float> x, Vector128<float> y) =>
        System.Runtime.Intrinsics.X86.Sse.IsSupported
            ? System.Runtime.Intrinsics.X86.Sse.UnpackLow(x, y)
            : Vector128.Create(x[0], y[0], x[1], y[1]);

    /// <summary>x2 y2 x3 y3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<float> HighPairs(Vector128<float> x, Vector128<float> y) =>
        System.Runtime.Intrinsics.X86.Sse.IsSupported
            ? System.Runtime.Intrinsics.X86.Sse.UnpackHigh(x, y)
            : Vector128.Create(x[2], y[2], x[3], y[3]);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyFull(float* source, nint stride, int depth, float* panel)
    {
        for (int k = 0; k < depth; k++, source += stride, panel += GemmTile.Columns)
        {
            Vector512.Load(source).Store(panel);
            Vector512.Load(source + 16).Store(panel + 16);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyPart(float* source, nint stride, int count, int width, int depth, float* panel)
    {
        for (int k = 0; k < depth; k++, source += stride, panel += width)
        {
            int i = 0;
            for (; i + 4 <= count; i += 4)
                Vector128.Load(source + i).Store(panel + i);
            for (; i < count; i++)
                panel[i] = source[i];
        }
    }
}
