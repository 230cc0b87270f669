namespace MoeKernels.Compression;

/// <summary>
/// GPTQ with vectors: codes for all rows of a matrix, group by group from the first column on, each group making up for
/// the errors of those before it.
/// </summary>
/// <remarks>
/// With <c>H = M Mᵀ</c>, M upper triangular, a row's error is <c>|(w - q) M|²</c>, and the part of group b,
/// <c>Σ_{i ≤ b} (w_i - q_i) M_ib</c>, knows only groups up to b. So the best next vector is the one nearest to
/// <c>(w M)_b - Σ_{i &lt; b} q_i M_ib</c> among <c>C M_bb</c>. That is GPTQ's rule, <c>r U_bb⁻¹</c> among
/// <c>C U_bb⁻¹</c>, without inverses. Columns are taken in blocks: inside a block <see cref="BeamSearch"/> decides, and
/// what a block's vectors do to later columns is one matrix product.
/// </remarks>
internal static unsafe class VectorGptq
{
    /// <summary>Columns of a block, before rounding to whole groups.</summary>
    private const int BlockColumns = 128;

    /// <summary>Chooses codes.</summary>
    /// <param name="factor">Factor of the Hessian.</param>
    /// <param name="book">Vectors, in units of the rows' scales.</param>
    /// <param name="beams">Alternatives kept per row inside a block of columns; 1 takes the nearest vector.</param>
    /// <param name="error">On entry <c>w M</c> with rows divided by their scales, on return <c>(w - q) M</c>,
    /// [rows × K].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="codes">Output, [rows × groups × stages].</param>
    /// <param name="scratch">Working memory.</param>
    public static void Run(
        DampedFactor factor, VectorBook book, int beams, float* error, int rows, byte* codes, Scratch scratch)
    {
        using Scratch.Frame frame = scratch.Begin();
        int d = book.Dimension;
        int columns = factor.Columns;
        int codeStride = book.Groups(columns) * book.Stages;
        int block = Math.Max(BlockColumns / d, 1) * d;
        BeamSearch search = new(factor, book, block, beams, scratch);
        float* q = scratch.Floats((long)rows * block);
        for (int first = 0; first < columns; first += block)
        {
            int width = Math.Min(block, columns - first);
            search.Begin(first, width);
            for (int row = 0; row < rows; row += VectorTable.Lanes)
            {
                int count = Math.Min(VectorTable.Lanes, rows - row);
                search.Run(
                    error + ((nint)row * columns) + first, count,
                    codes + ((nint)row * codeStride) + (first / d * book.Stages), codeStride);
            }

            for (int row = 0; row < rows; row++)
            {
                book.Decode(
                    codes + ((nint)row * codeStride) + (first / d * book.Stages),
                    new Span<float>(q + ((nint)row * width), width));
            }

            Gemm.Add(
                -1, new(q, width), factor.View.From(first, first), error + first, columns, rows, columns - first,
                width, scratch);
        }
    }
}
