using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>
/// GPTQ with vectors: codes for all rows of a matrix, group by group from the first column on, each group making up for
/// the errors of those before it.
/// </summary>
/// <remarks>
/// With <c>H = M Mᵀ</c>, M upper triangular, a row's error is <c>|(w - q) M|²</c>, and the part of group b,
/// <c>Σ_{i ≤ b} (w_i - q_i) M_ib</c>, knows only groups up to b. So the best next vector is the one nearest to
/// <c>(w M)_b - Σ_{i &lt; b} q_i M_ib</c> among <c>C M_bb</c>. That is GPTQ's rule, <c>r U_bb⁻¹</c> among
/// <c>C U_bb⁻¹</c>, without inverses. Rows are lanes, 16 at a time; columns are taken in blocks, and what a block's
/// vectors do to later columns is one matrix product.
/// </remarks>
internal sealed unsafe class VectorGptq
{
    /// <summary>Columns of a block, before rounding to whole groups.</summary>
    private const int BlockColumns = 128;

    private const int Lanes = VectorTable.Lanes;
    private readonly DampedFactor _factor;
    private readonly VectorBook _book;
    private readonly Scratch _scratch;
    private readonly int _dimension;
    private readonly int _blockColumns;

    // Per group and stage of a block: the vectors in the group's metric, row by row and in the order of the search.
    private float* _metric;
    private float* _tables;

    // One tile: wanted values [columns × 16], chosen vectors [dimension × 16].
    private float* _wanted;
    private float* _chosen;

    /// <summary>Prepares the pass; nothing is computed yet.</summary>
    /// <param name="factor">Factor of the Hessian.</param>
    /// <param name="book">Vectors, in units of the rows' scales.</param>
    /// <param name="scratch">Working memory.</param>
    public VectorGptq(DampedFactor factor, VectorBook book, Scratch scratch)
    {
        (_factor, _book, _scratch, _dimension) = (factor, book, scratch, book.Dimension);
        _blockColumns = Math.Max(BlockColumns / _dimension, 1) * _dimension;
    }

    private int BlockGroups => _blockColumns / _dimension;

    /// <summary>Chooses codes.</summary>
    /// <param name="error">On entry <c>w M</c> with rows divided by their scales, on return <c>(w - q) M</c>,
    /// [rows × K].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="codes">Output, [rows × groups × stages].</param>
    public void Run(float* error, int rows, byte* codes)
    {
        using Scratch.Frame frame = _scratch.Begin();
        int tables = BlockGroups * _book.Stages;
        _metric = _scratch.Floats((long)tables * VectorTable.Count * _dimension);
        _tables = _scratch.Floats((long)tables * VectorTable.Length(_dimension));
        _wanted = _scratch.Floats((long)_blockColumns * Lanes);
        _chosen = _scratch.Floats((long)_dimension * Lanes);
        float* q = _scratch.Floats((long)rows * _blockColumns);
        int columns = _factor.Columns;
        for (int first = 0; first < columns; first += _blockColumns)
        {
            int width = Math.Min(_blockColumns, columns - first);
            FillTables(first, width);
            for (int row = 0; row < rows; row += Lanes)
            {
                int count = Math.Min(Lanes, rows - row);
                Tile(first, width, error + ((nint)row * columns) + first, count, q + ((nint)row * width), codes
                    + ((((nint)row * _book.Groups(columns)) + (first / _dimension)) * _book.Stages));
            }

            Gemm.Add(
                -1, new(q, width), _factor.View.From(first, first), error + first, columns, rows, columns - first,
                width, _scratch);
        }
    }

    /// <summary>Vectors times the diagonal blocks of M.</summary>
    private void FillTables(int first, int width)
    {
        for (int group = 0; group * _dimension < width; group++)
        {
            int column = first + (group * _dimension);
            int count = Math.Min(_dimension, _factor.Columns - column);
            for (int stage = 0; stage < _book.Stages; stage++)
            {
                int table = (group * _book.Stages) + stage;
                float* metric = _metric + ((nint)table * VectorTable.Count * _dimension);
                _book.TimesBlock(stage, _factor.View.From(column, column), count, metric);
                VectorTable.Fill(metric, _dimension, _tables + ((nint)table * VectorTable.Length(_dimension)));
            }
        }
    }

    /// <summary>Codes of 16 rows in one block of columns.</summary>
    private void Tile(int first, int width, float* error, int rows, float* q, byte* codes)
    {
        nint columns = _factor.Columns;
        NativeMemory.Clear(_wanted, (nuint)(_blockColumns * Lanes * sizeof(float)));
        for (int lane = 0; lane < rows; lane++)
        {
            float* row = error + (lane * columns);
            for (int k = 0; k < width; k++)
                _wanted[(k * Lanes) + lane] = row[k];
        }

        nint codeStride = (nint)_book.Groups((int)columns) * _book.Stages;
        for (int column = 0; column < width; column += _dimension, codes += _book.Stages)
        {
            new Span<float>(_chosen, _dimension * Lanes).Clear();
            for (int stage = 0; stage < _book.Stages; stage++)
                Choose(column / _dimension, stage, rows, codes + stage, codeStride);

            int count = Math.Min(_dimension, width - column);
            for (int lane = 0; lane < rows; lane++)
            {
                for (int k = 0; k < count; k++)
                    q[(lane * width) + column + k] = _chosen[(k * Lanes) + lane];
            }

            float* m = _factor.Data + ((first + column) * columns) + first;
            Subtract(_chosen, count, m, columns, _wanted, column + count, width);
        }
    }

    /// <summary>One code for each row of a tile.</summary>
    private void Choose(int group, int stage, int rows, byte* codes, nint stride)
    {
        int table = (group * _book.Stages) + stage;
        float* metric = _metric + ((nint)table * VectorTable.Count * _dimension);
        float* wanted = _wanted + (group * _dimension * Lanes);
        VectorTable.Nearest(
            _tables + ((nint)table * VectorTable.Length(_dimension)), _dimension, wanted,
            out Vector512<int> index, out Vector512<float> dot);
        int* indices = stackalloc int[Lanes];
        float* dots = stackalloc float[Lanes];
        index.Store(indices);
        dot.Store(dots);
        for (int lane = 0; lane < rows; lane++)
        {
            int v = indices[lane];
            float sign = dots[lane] < 0 ? -1 : 1;
            codes[lane * stride] = (byte)(v + (dots[lane] < 0 ? VectorTable.Count : 0));
            float* vector = _book.Vector(stage, v);
            for (int k = 0; k < _dimension; k++)
            {
                _chosen[(k * Lanes) + lane] += sign * vector[k];
                wanted[(k * Lanes) + lane] -= sign * metric[(v * _dimension) + k];
            }
        }
    }

    /// <summary>Takes what the chosen vectors do to later columns of the block away from them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Subtract(float* q, int count, float* m, nint stride, float* wanted, int from, int to)
    {
        int c = from;
        for (; c + 4 <= to; c += 4)
        {
            float* y = wanted + (c * Lanes);
            Vector512<float> y0 = Vector512.Load(y), y1 = Vector512.Load(y + 16);
            Vector512<float> y2 = Vector512.Load(y + 32), y3 = Vector512.Load(y + 48);
            float* row = m + c;
            for (int k = 0; k < count; k++, row += stride)
            {
                Vector512<float> v = -Vector512.Load(q + (k * Lanes));
                y0 = Vector512.FusedMultiplyAdd(Vector512.Create(row[0]), v, y0);
                y1 = Vector512.FusedMultiplyAdd(Vector512.Create(row[1]), v, y1);
                y2 = Vector512.FusedMultiplyAdd(Vector512.Create(row[2]), v, y2);
                y3 = Vector512.FusedMultiplyAdd(Vector512.Create(row[3]), v, y3);
            }

            y0.Store(y);
            y1.Store(y + 16);
            y2.Store(y + 32);
            y3.Store(y + 48);
        }

        for (; c < to; c++)
        {
            Vector512<float> y = Vector512.Load(wanted + (c * Lanes));
            for (int k = 0; k < count; k++)
            {
                Vector512<float> v = -Vector512.Load(q + (k * Lanes));
                y = Vector512.FusedMultiplyAdd(Vector512.Create(m[(k * stride) + c]), v, y);
            }

            y.Store(wanted + (c * Lanes));
        }
    }
}
