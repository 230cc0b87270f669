namespace MoeKernels.Compression;

/// <summary>Products of single-precision matrices on one thread: <c>C += f A B</c>, A and B as they are or
/// transposed.</summary>
/// <remarks>
/// Panels of A (12 rows) and B (32 columns) are copied into the order in which the inner tile reads them, 256 steps of
/// the sum at a time, so transposing costs nothing. A sum's bits depend on the sizes only, not on the machine.
/// </remarks>
internal static unsafe class Gemm
{
    /// <summary>Steps of a sum between two visits of C: a panel of B stays in the first cache.</summary>
    private const int Depth = 256;

    /// <summary>Rows of A copied at a time: they stay in the second cache.</summary>
    private const int RowBlock = 20 * GemmTile.Rows;

    /// <summary>Columns of B copied at a time.</summary>
    private const int ColumnBlock = 32 * GemmTile.Columns;

    /// <summary>Adds a product.</summary>
    /// <param name="factor">f.</param>
    /// <param name="a">A, [m × k].</param>
    /// <param name="b">B, [k × n].</param>
    /// <param name="c">C, [m × n], row by row; it overlaps neither A nor B.</param>
    /// <param name="cStride">Distance of two rows of C.</param>
    /// <param name="m">Rows.</param>
    /// <param name="n">Columns.</param>
    /// <param name="k">Length of the sums.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="upper">Whether only the upper triangle of C is wanted; what is below it is then undefined.</param>
    public static void Add(
        float factor, MatrixView a, MatrixView b, float* c, nint cStride, int m, int n, int k, Scratch scratch,
        bool upper = false)
    {
        using Scratch.Frame frame = scratch.Begin();
        float* aPanels = scratch.Floats(RowBlock * Depth);
        float* bPanels = scratch.Floats(Math.Min(ColumnBlock, Round(n, GemmTile.Columns)) * Depth);
        for (int j = 0; j < n; j += ColumnBlock)
        {
            int columns = Math.Min(ColumnBlock, n - j);
            int rows = upper ? Math.Min(m, j + columns) : m;
            for (int p = 0; p < k; p += Depth)
            {
                int depth = Math.Min(Depth, k - p);
                GemmPanels.Columns(b.From(p, j), depth, columns, bPanels);
                for (int i = 0; i < rows; i += RowBlock)
                {
                    int blockRows = Math.Min(RowBlock, rows - i);
                    GemmPanels.Rows(factor, a.From(i, p), blockRows, depth, aPanels);
                    int diagonal = upper ? i - j : int.MinValue;
                    Block(aPanels, bPanels, c + (i * cStride) + j, cStride, blockRows, columns, depth, diagonal);
                }
            }
        }
    }

    /// <summary>Copies the upper triangle of a symmetric matrix to the lower one.</summary>
    /// <param name="matrix">[n × n], row by row without gaps.</param>
    /// <param name="n">Rows.</param>
    public static void Mirror(float* matrix, int n)
    {
        const int Tile = 64;
        for (int i0 = 0; i0 < n; i0 += Tile)
        {
            for (int j0 = 0; j0 <= i0; j0 += Tile)
            {
                for (int i = i0; i < Math.Min(i0 + Tile, n); i++)
                {
                    for (int j = j0; j < Math.Min(j0 + Tile, i); j++)
                        matrix[((nint)i * n) + j] = matrix[((nint)j * n) + i];
                }
            }
        }
    }

    /// <summary>Adds moments to the upper triangle: <c>H += Xᵀ X</c>.</summary>
    /// <param name="x">[rows × columns], row by row.</param>
    /// <param name="rows">Rows of X.</param>
    /// <param name="columns">Columns of X.</param>
    /// <param name="h">[columns × columns]; undefined below the diagonal until <see cref="Mirror"/>.</param>
    /// <param name="scratch">Working memory.</param>
    public static void AddMoments(MatrixView x, int rows, int columns, float* h, Scratch scratch) =>
        Add(1, x.Transposed, x, h, columns, columns, columns, rows, scratch, upper: true);

    /// <summary>All tiles of a block; <paramref name="diagonal"/> is the column of the diagonal in row 0.</summary>
    private static void Block(
        float* a, float* b, float* c, nint stride, int rows, int columns, int depth, int diagonal)
    {
        for (int j = 0; j < columns; j += GemmTile.Columns, b += GemmTile.Columns * depth)
        {
            int width = Math.Min(GemmTile.Columns, columns - j);
            for (int i = 0; i < rows && j + width > i + diagonal; i += GemmTile.Rows)
            {
                int height = Math.Min(GemmTile.Rows, rows - i);
                GemmTile.Add(a + (i * depth), b, depth, c + (i * stride) + j, stride, height, width);
            }
        }
    }

    private static int Round(int n, int step) => (n + step - 1) / step * step;
}
