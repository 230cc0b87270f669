using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>The inner loop of <see cref="Gemm"/>: 12 × 32 sums in 24 registers.</summary>
internal static unsafe class GemmTile
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 12;

    /// <summary>Columns of a tile: two registers.</summary>
    public const int Columns = 32;

    /// <summary>Adds a tile to C.</summary>
    /// <param name="a">Panel of rows, [depth × 12].</param>
    /// <param name="b">Panel of columns, [depth × 32].</param>
    /// <param name="depth">Length of the sums.</param>
    /// <param name="c">First number of the tile.</param>
    /// <param name="stride">Distance of two rows of C.</param>
    /// <param name="height">Rows that exist, at most 12.</param>
    /// <param name="width">Columns that exist, at most 32.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* a, float* b, int depth, float* c, nint stride, int height, int width)
    {
        if (height == Rows && width == Columns)
            AddFull(a, b, depth, c, stride);
        else
            AddPart(a, b, depth, c, stride, height, width);
    }

    /// <summary>A tile at the edge, through a full tile of its own.</summary>
    private static void AddPart(float* a, float* b, int depth, float* c, nint stride, int height, int width)
    {
        float* tile = stackalloc float[Rows * Columns];
        new Span<float>(tile, Rows * Columns).Clear();
        AddFull(a, b, depth, tile, Columns);
        for (int i = 0; i < height; i++)
        {
            for (int j = 0; j < width; j++)
                c[(i * stride) + j] += tile[(i * Columns) + j];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddFull(float* a, float* b, int depth, float* c, nint stride)
    {
        Vector512<float> c0l = default, c0r = default, c1l = default, c1r = default, c2l = default, c2r = default;
        Vector512<float> c3l = default, c3r = default, c4l = default, c4r = default, c5l = default, c5r = default;
        Vector512<float> c6l = default, c6r = default, c7l = default, c7r = default, c8l = default, c8r = default;
        Vector512<float> c9l = default, c9r = default, c10l = default, c10r = default, c11l = default, c11r = default;
        for (int k = 0; k < depth; k++, a += Rows, b += Columns)
        {
            Vector512<float> l = Vector512.Load(b), r = Vector512.Load(b + 16);
            Vector512<float> a0 = Vector512.Create(a[0]);
            c0l = Vector512.FusedMultiplyAdd(a0, l, c0l);
            c0r = Vector512.FusedMultiplyAdd(a0, r, c0r);
            Vector512<float> a1 = Vector512.Create(a[1]);
            c1l = Vector512.FusedMultiplyAdd(a1, l, c1l);
            c1r = Vector512.FusedMultiplyAdd(a1, r, c1r);
            Vector512<float> a2 = Vector512.Create(a[2]);
            c2l = Vector512.FusedMultiplyAdd(a2, l, c2l);
            c2r = Vector512.FusedMultiplyAdd(a2, r, c2r);
            Vector512<float> a3 = Vector512.Create(a[3]);
            c3l = Vector512.FusedMultiplyAdd(a3, l, c3l);
            c3r = Vector512.FusedMultiplyAdd(a3, r, c3r);
            Vector512<float> a4 = Vector512.Create(a[4]);
            c4l = Vector512.FusedMultiplyAdd(a4, l, c4l);
            c4r = Vector512.FusedMultiplyAdd(a4, r, c4r);
            Vector512<float> a5 = Vector512.Create(a[5]);
            c5l = Vector512.FusedMultiplyAdd(a5, l, c5l);
            c5r = Vector512.FusedMultiplyAdd(a5, r, c5r);
            Vector512<float> a6 = Vector512.Create(a[6]);
            c6l = Vector512.FusedMultiplyAdd(a6, l, c6l);
            c6r = Vector512.FusedMultiplyAdd(a6, r, c6r);
            Vector512<float> a7 = Vector512.Create(a[7]);
            c7l = Vector512.FusedMultiplyAdd(a7, l, c7l);
            c7r = Vector512.FusedMultiplyAdd(a7, r, c7r);
            Vector512<float> a8 = Vector512.Create(a[8]);
            c8l = Vector512.FusedMultiplyAdd(a8, l, c8l);
            c8r = Vector512.FusedMultiplyAdd(a8, r, c8r);
            Vector512<float> a9 = Vector512.Create(a[9]);
            c9l = Vector512.FusedMultiplyAdd(a9, l, c9l);
            c9r = Vector512.FusedMultiplyAdd(a9, r, c9r);
            Vector512<float> a10 = Vector512.Create(a[10]);
            c10l = Vector512.FusedMultiplyAdd(a10, l, c10l);
            c10r = Vector512.FusedMultiplyAdd(a10, r, c10r);
            Vector512<float> a11 = Vector512.Create(a[11]);
            c11l = Vector512.FusedMultiplyAdd(a11, l, c11l);
            c11r = Vector512.FusedMultiplyAdd(a11, r, c11r);
        }

        AddRow(c, c0l, c0r);
        AddRow(c + stride, c1l, c1r);
        AddRow(c + (2 * stride), c2l, c2r);
        AddRow(c + (3 * stride), c3l, c3r);
        AddRow(c + (4 * stride), c4l, c4r);
        AddRow(c + (5 * stride), c5l, c5r);
        AddRow(c + (6 * stride), c6l, c6r);
        AddRow(c + (7 * stride), c7l, c7r);
        AddRow(c + (8 * stride), c8l, c8r);
        AddRow(c + (9 * stride), c9l, c9r);
        AddRow(c + (10 * stride), c10l, c10r);
        AddRow(c + (11 * stride), c11l, c11r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow(float* c, Vector512<float> left, Vector512<float> right)
    {
        (Vector512.Load(c) + left).Store(c);
        (Vector512.Load(c + 16) + right).Store(c + 16);
    }
}
