using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>Searches the codes of 16 rows in a block of columns, keeping the best few beginnings of each row.</summary>
/// <remarks>
/// A beginning is a choice of codes up to some group and stage; its cost is the error so far plus what the current
/// stage
/// leaves of its group. Every beginning is followed by all 256 signed vectors and the cheapest few go on. Rows are
/// lanes. Half costs are compared: <c>|y - σ c|²/2 = |y|²/2 - |y·c| + |c|²/2</c> with the better sign σ.
/// </remarks>
internal sealed unsafe class BeamSearch
{
    private const int Lanes = VectorTable.Lanes;
    private readonly DampedFactor _factor;
    private readonly VectorBook _book;
    private readonly int _dimension;
    private readonly int _block;
    private readonly int _beams;

    // Vectors in the metric of each group, [groups × stages] tables.
    private readonly float* _tables;
    private readonly float* _metric;

    // What remains to be coded for each beginning, [beams × columns × 16], now and after the next choice.
    private float* _wanted;
    private float* _next;

    // Half costs up to the group, and with the current choice, [beams × 16].
    private float* _settled;
    private float* _settledNext;
    private readonly float* _costs;

    // Every choice, [groups × stages × beams × 16]: beginning it follows << 8 | code.
    private readonly int* _choices;
    private readonly float* _chosen;
    private int _first;
    private int _width;

    /// <summary>Takes working memory for blocks of some width; it stays taken until the caller's frame ends.</summary>
    public BeamSearch(DampedFactor factor, VectorBook book, int block, int beams, Scratch scratch)
    {
        (_factor, _book, _block, _beams, _dimension) = (factor, book, block, beams, book.Dimension);
        int levels = block / _dimension * book.Stages;
        _tables = scratch.Floats((long)levels * VectorTable.Length(_dimension));
        _metric = scratch.Floats(VectorTable.Count * _dimension);
        _wanted = scratch.Floats((long)beams * block * Lanes);
        _next = scratch.Floats((long)beams * block * Lanes);
        _settled = scratch.Floats(beams * Lanes);
        _settledNext = scratch.Floats(beams * Lanes);
        _costs = scratch.Floats(beams * Lanes);
        _choices = (int*)scratch.Floats((long)levels * beams * Lanes);
        _chosen = scratch.Floats(_dimension * Lanes);
    }

    /// <summary>Goes to a block of columns.</summary>
    /// <param name="first">First column.</param>
    /// <param name="width">Columns.</param>
    public void Begin(int first, int width)
    {
        (_first, _width) = (first, width);
        float* table = _tables;
        for (int column = 0; column < width; column += _dimension)
        {
            MatrixView block = _factor.View.From(first + column, first + column);
            for (int stage = 0; stage < _book.Stages; stage++, table += VectorTable.Length(_dimension))
            {
                _book.TimesBlock(stage, block, Math.Min(_dimension, width - column), _metric);
                VectorTable.Fill(_metric, _dimension, table);
            }
        }
    }

    /// <summary>Codes rows.</summary>
    /// <param name="wanted">Outputs in the metric that remain, first row and column of the block, rows K
    /// apart.</param>
    /// <param name="rows">Rows, at most 16.</param>
    /// <param name="codes">Output: the first row's code of the block's first group.</param>
    /// <param name="codeStride">Distance of two rows of codes.</param>
    public void Run(float* wanted, int rows, byte* codes, nint codeStride)
    {
        Load(wanted, rows);
        int level = 0;
        for (int column = 0; column < _width; column += _dimension)
        {
            for (int stage = 0; stage < _book.Stages; stage++, level++)
            {
                int* choices = _choices + (level * _beams * Lanes);
                Choose(column, level, choices);
                Follow(column, stage, choices);
            }

            Buffer.MemoryCopy(_costs, _settled, _beams * Lanes * sizeof(float), _beams * Lanes * sizeof(float));
        }

        for (int lane = 0; lane < rows; lane++)
        {
            int beam = 0;
            for (int l = level - 1; l >= 0; l--)
            {
                int choice = _choices[(((l * _beams) + beam) * Lanes) + lane];
                codes[(lane * codeStride) + l] = (byte)choice;
                beam = choice >> 8;
            }
        }
    }

    /// <summary>One beginning, empty; the others cost too much to be followed.</summary>
    private void Load(float* wanted, int rows)
    {
        // The last group may reach past the block: nothing is wanted there, before and after every choice.
        nuint bytes = (nuint)((long)_beams * _block * Lanes * sizeof(float));
        NativeMemory.Clear(_wanted, bytes);
        NativeMemory.Clear(_next, bytes);
        for (int lane = 0; lane < rows; lane++)
        {
            float* row = wanted + ((nint)lane * _factor.Columns);
            for (int k = 0; k < _width; k++)
                _wanted[(k * Lanes) + lane] = row[k];
        }

        new Span<float>(_settled, _beams * Lanes).Fill(float.PositiveInfinity);
        new Span<float>(_settled, Lanes).Clear();
    }

    private void Choose(int column, int level, int* choices)
    {
        new Span<float>(_costs, _beams * Lanes).Fill(float.PositiveInfinity);
        new Span<int>(choices, _beams * Lanes).Clear();
        float* table = _tables + ((nint)level * VectorTable.Length(_dimension));
        for (int beam = 0; beam < _beams; beam++)
        {
            float* y = _wanted + (((nint)(beam * _block) + column) * Lanes);
            Vector512<float> square = default;
            for (int k = 0; k < _dimension; k++)
            {
                Vector512<float> v = Vector512.Load(y + (k * Lanes));
                square = Vector512.FusedMultiplyAdd(v, v, square);
            }

            Vector512<float> offset = Vector512.Load(_settled + (beam * Lanes)) + (square * 0.5f);
            VectorTable.Search(table, _dimension, y, offset, beam << 8, _costs, choices, _beams);
        }
    }

    /// <summary>Makes the chosen beginnings the current ones.</summary>
    private void Follow(int column, int stage, int* choices)
    {
        nint stride = _factor.Columns;
        float* m = _factor.Data + ((_first + column) * stride) + _first;
        int count = Math.Min(_dimension, _width - column);
        for (int beam = 0; beam < _beams; beam++, choices += Lanes)
        {
            for (int lane = 0; lane < Lanes; lane++)
            {
                float* vector = _book.Vector(stage, choices[lane] & 127);
                float sign = (choices[lane] & 128) == 0 ? -1 : 1;
                for (int k = 0; k < count; k++)
                    _chosen[(k * Lanes) + lane] = sign * vector[k];
                _settledNext[(beam * Lanes) + lane] = _settled[((choices[lane] >> 8) * Lanes) + lane];
            }

            Vector512<int> parent = Vector512.Load(choices) >> 8;
            float* target = _next + ((nint)beam * _block * Lanes);
            Advance(_chosen, count, m, stride, parent, _beams, _wanted, _block * Lanes, target, column, _width);
        }

        Swap(ref _wanted, ref _next);
        Swap(ref _settled, ref _settledNext);
    }

    private static void Swap(ref float* a, ref float* b)
    {
        float* old = a;
        a = b;
        b = old;
    }

    /// <summary>What remains after a choice: the wanted outputs of the beginning it follows, plus the negated vector
    /// times M.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Advance(
        float* chosen, int count, float* m, nint stride, Vector512<int> parent, int beams, float* wanted,
        nint beamStride, float* target, int from, int to)
    {
        int c = from;
        for (; c + 4 <= to; c += 4)
        {
            nint at = c * Lanes;
            Vector512<float> y0 = Pick(parent, beams, wanted + at, beamStride);
            Vector512<float> y1 = Pick(parent, beams, wanted + at + 16, beamStride);
            Vector512<float> y2 = Pick(parent, beams, wanted + at + 32, beamStride);
            Vector512<float> y3 = Pick(parent, beams, wanted + at + 48, beamStride);
            float* row = m + c;
            for (int k = 0; k < count; k++, row += stride)
            {
                Vector512<float> v = Vector512.Load(chosen + (k * Lanes));
                y0 = Vector512.FusedMultiplyAdd(Vector512.Create(row[0]), v, y0);
                y1 = Vector512.FusedMultiplyAdd(Vector512.Create(row[1]), v, y1);
                y2 = Vector512.FusedMultiplyAdd(Vector512.Create(row[2]), v, y2);
                y3 = Vector512.FusedMultiplyAdd(Vector512.Create(row[3]), v, y3);
            }

            y0.Store(target + at);
            y1.Store(target + at + 16);
            y2.Store(target + at + 32);
            y3.Store(target + at + 48);
        }

        for (; c < to; c++)
        {
            Vector512<float> y = Pick(parent, beams, wanted + (c * Lanes), beamStride);
            for (int k = 0; k < count; k++)
            {
                Vector512<float> v = Vector512.Load(chosen + (k * Lanes));
                y = Vector512.FusedMultiplyAdd(Vector512.Create(m[(k * stride) + c]), v, y);
            }

            y.Store(target + (c * Lanes));
        }
    }

    /// <summary>Each lane's number from the beginning it follows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Pick(Vector512<int> parent, int beams, float* numbers, nint stride)
    {
        Vector512<float> picked = Vector512.Load(numbers);
        for (int beam = 1; beam < beams; beam++)
        {
            Vector512<float> mask = Vector512.Equals(parent, Vector512.Create(beam)).AsSingle();
            picked = Vector512.ConditionalSelect(mask, Vector512.Load(numbers + (beam * stride)), picked);
        }

        return picked;
    }
}
