using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Some query rows times some heads that share one key/value head: the unit of parallel work of
/// attention.</summary>
/// <remarks>A pair is one row of one head; pairs are ordered by row, then head.</remarks>
internal unsafe struct AttentionItem
{
    /// <summary>Most pairs of an item.</summary>
    public const int MaxPairs = GemmBlock.Tokens;

    private const int Block = 64;

    /// <summary>The key/value head, and the first query head and its number of neighbours.</summary>
    public int KvHead, Head, Heads;

    /// <summary>The first query row and the number of rows.</summary>
    public int Row, Rows;

    /// <summary>Rounds up to whole vectors.</summary>
    public static int Padded(int count) => (count + 15) & ~15;

    /// <summary>Computes the item.</summary>
    [SkipLocalsInit]
    public readonly void Forward<T>(in AttentionInput input)
        where T : struct, IVec16<T>
    {
        int pairs = Rows * Heads;
        int keyDim = Padded(input.KeyDim);
        int valueDim = Padded(input.ValueDim);
        byte* memory = stackalloc byte[(sizeof(float) * pairs * (keyDim + valueDim + Block + 16 + 1)) + 64];
        State state = new() { Q = (float*)(((nint)memory + 63) & ~63), KeyDim = keyDim, ValueDim = valueDim };
        state.Y = state.Q + (pairs * keyDim);
        state.Scores = state.Y + (pairs * valueDim);
        state.Sums = state.Scores + (pairs * Block);
        state.Largest = state.Sums + (pairs * 16);
        Begin<T>(input, state);

        int first = int.MaxValue, last = -1;
        for (int row = Row; row < Row + Rows; row++)
        {
            first = Math.Min(first, input.First[row]);
            last = Math.Max(last, input.Last[row]);
        }

        for (int position = first & ~(Block - 1); position <= last; position += Block)
        {
            int from = Math.Max(position, first);
            int to = Math.Min(position + Block, last + 1);
            Score<T>(input, state, position, from, to);
            for (int pair = 0; pair < pairs; pair++)
                Weigh<T>(input, state, pair, position);
            AddValues<T>(input, state, position);
        }

        End<T>(input, state);
    }

    /// <summary>Collects the queries and starts the sums.</summary>
    private readonly void Begin<T>(in AttentionInput input, in State state)
        where T : struct, IVec16<T>
    {
        int pairs = Rows * Heads;
        new Span<float>(state.Y, pairs * state.ValueDim).Clear();
        new Span<float>(state.Sums, pairs * 16).Clear();
        for (int pair = 0; pair < pairs; pair++)
        {
            int head = Head + (pair % Heads);
            float* q = input.Q + ((Row + (pair / Heads)) * input.QStride) + (head * input.QHeadStride);
            Span<float> row = new(state.Q + (pair * state.KeyDim), state.KeyDim);
            new Span<float>(q, input.KeyDim).CopyTo(row);
            row[input.KeyDim..].Clear();
            state.Largest[pair] = input.Sinks == null ? float.MinValue : input.Sinks[head];
        }
    }

    /// <summary>Products of all queries with the keys of positions [from, to).</summary>
    private readonly void Score<T>(in AttentionInput input, in State state, int position, int from, int to)
        where T : struct, IVec16<T>
    {
        float* k = input.K + (from * input.KStride) + (KvHead * input.KHeadStride);
        WeightMatrix keys = new(WeightFormat.F32, k, to - from, input.KeyDim, input.KStride * sizeof(float));
        int step = Rows * Heads == 1 ? Block : GemmBlock.Rows;
        for (int row = 0; row < keys.Rows; row += step)
        {
            int rows = Math.Min(step, keys.Rows - row);
            GemmBlock.Forward<T>(
                keys, row, rows, null, state.Q, state.KeyDim, Rows * Heads,
                state.Scores + (from - position) + row, Block);
        }
    }

    /// <summary>Turns the scores of one pair into weights relative to the largest score so far.</summary>
    private readonly void Weigh<T>(in AttentionInput input, in State state, int pair, int position)
        where T : struct, IVec16<T>
    {
        int row = Row + (pair / Heads);
        int from = Math.Max(input.First[row] - position, 0);
        int to = Math.Min(input.Last[row] + 1 - position, Block);
        if (from >= to)
            return;

        float* scores = state.Scores + (pair * Block);
        Vec.Scale(scores + from, input.Scale, scores + from, to - from);
        if (input.Bias != null)
        {
            float* bias = input.Bias + (row * input.BiasStride) + ((Head + (pair % Heads)) * input.BiasHeadStride);
            Vec.Add(scores + from, bias + position + from, scores + from, to - from);
        }

        // Positions of the first and last vector that are outside the range get weight 0.
        int begin = from & ~15;
        int end = Padded(to);
        new Span<float>(scores + begin, from - begin).Fill(float.NegativeInfinity);
        new Span<float>(scores + to, end - to).Fill(float.NegativeInfinity);
        Exponentiate<T>(
            scores + begin, end - begin, state.Largest + pair, state.Sums + (pair * 16),
            state.Y + (pair * state.ValueDim), state.ValueDim);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Exponentiate<T>(float* scores, int count, float* largest, float* sums, float* y, int valueDim)
        where T : struct, IVec16<T>
    {
        float before = *largest;
        float now = Softmax.Largest<T>(scores, count, before);
        T lanes = T.Load(sums);
        if (now > before)
        {
            *largest = now;
            T shrink = VecMath.Exp(T.Create(before - now));
            lanes *= shrink;
            for (int i = 0; i < valueDim; i += 16)
                T.Store(T.Load(y + i) * shrink, y + i);
        }

        T shift = T.Create(now);
        for (int i = 0; i < count; i += 16)
        {
            T weight = VecMath.Exp(T.Load(scores + i) - shift);
            lanes += weight;
            T.Store(weight, scores + i);
        }

        T.Store(lanes, sums);
    }

    /// <summary>Adds the weighted values; neighbours with the same range share the loads.</summary>
    private readonly void AddValues<T>(in AttentionInput input, in State state, int position)
        where T : struct, IVec16<T>
    {
        for (int row = Row; row < Row + Rows;)
        {
            int from = Math.Max(input.First[row], position);
            int to = Math.Min(input.Last[row] + 1, position + Block);
            int same = row + 1;
            while (same < Row + Rows && Math.Max(input.First[same], position) == from
                && Math.Min(input.Last[same] + 1, position + Block) == to)
            {
                same++;
            }

            if (from < to)
                AddValues<T>(input, state, position, from, to, (row - Row) * Heads, (same - row) * Heads);
            row = same;
        }
    }

    private readonly void AddValues<T>(
        in AttentionInput input, in State state, int position, int from, int to, int pair, int pairs)
        where T : struct, IVec16<T>
    {
        float* v = input.V + (from * input.VStride) + (KvHead * input.VHeadStride);
        float* weights = state.Scores + (pair * Block) + (from - position);
        float* y = state.Y + (pair * state.ValueDim);
        int groups = input.ValueDim / 16;
        ColumnTile.Add<T>(v, input.VStride, to - from, groups, weights, Block, pairs, y, state.ValueDim);
        if (input.ValueDim % 16 == 0)
            return;

        float* last = stackalloc float[Block * 16];
        for (int p = 0; p < to - from; p++)
        {
            float* source = v + (p * input.VStride) + (16 * groups);
            T.Store(VecTail.Load<T>(source, input.ValueDim % 16), last + (16 * p));
        }

        ColumnTile.Add<T>(last, 16, to - from, 1, weights, Block, pairs, y + (16 * groups), state.ValueDim);
    }

    /// <summary>Divides by the sums of the weights.</summary>
    private readonly void End<T>(in AttentionInput input, in State state)
        where T : struct, IVec16<T>
    {
        for (int pair = 0; pair < Rows * Heads; pair++)
        {
            int head = Head + (pair % Heads);
            float sum = T.Sum(T.Load(state.Sums + (pair * 16)));
            if (input.Sinks != null)
                sum += Softmax.Exp<T>(input.Sinks[head] - state.Largest[pair]);
            float* y = input.Y + ((Row + (pair / Heads)) * input.YStride) + (head * input.YHeadStride);
            Softmax.Divide<T>(state.Y + (pair * state.ValueDim), sum, y, input.ValueDim);
        }
    }

    /// <summary>Buffers of the item, per pair: query, result, scores of a block, lanes of the sum, largest
    /// score.</summary>
    private struct State
    {
        public float* Q, Y, Scores, Sums, Largest;
        public int KeyDim, ValueDim;
    }
}
