namespace MoeKernels.Cpu;

/// <summary>Softmax attention of query rows over a cache of contiguous key and value rows.</summary>
/// <remarks>
/// Positions are taken in blocks that start at multiples of 64, with the running maximum of the online softmax; sums of
/// weights have 16 lanes by position mod 16. Blocks depend on the position alone, so a row gives the same bits in any
/// batch, and no buffer grows with the context.
/// </remarks>
internal static unsafe class Attention
{
    // Floats of queries and results of one item on the worker's stack.
    private const int StackFloats = 24 * 1024;

    /// <summary>
    /// Computes <c>y[row, h] = Σp softmax_p(scale * q[row, h]·k[p] + bias[row, h, p]) v[p]</c> over
    /// <c>p = first[row] ... last[row]</c>, ascending.
    /// </summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="input">Shapes and memory. Every row needs at least one position.</param>
    /// <remarks>A row's bits depend on the row, its range and the cached rows in it, not on the other rows.</remarks>
    public static void Forward(WorkerPool pool, in AttentionInput input)
    {
        int pairFloats = AttentionItem.Padded(input.KeyDim) + AttentionItem.Padded(input.ValueDim);
        int maxPairs = Math.Clamp(StackFloats / pairFloats, 1, AttentionItem.MaxPairs);
        int group = input.Heads / input.KvHeads;
        int heads = Math.Min(group, maxPairs);
        Work work = new() { Input = input };
        work.Plan(heads, maxPairs / heads);

        // A short batch over few key/value heads gives up sharing for parallelism.
        while (work.Items < pool.Threads && heads > 1)
        {
            heads = (heads + 1) / 2;
            work.Plan(heads, maxPairs / heads);
        }

        pool.Run(ref work, work.Items, maxGrain: 1);
    }

    private struct Work : IWork
    {
        public AttentionInput Input;
        private int _heads, _rows, _headBlocks, _rowBlocks;

        public readonly int Items => Input.KvHeads * _headBlocks * _rowBlocks;

        public void Plan(int heads, int rows)
        {
            int group = Input.Heads / Input.KvHeads;
            _heads = heads;
            _rows = rows;
            _headBlocks = (group + heads - 1) / heads;
            _rowBlocks = (Input.Rows + rows - 1) / rows;
        }

        public readonly AttentionItem Item(int index)
        {
            int group = Input.Heads / Input.KvHeads;
            int headBlock = index % _headBlocks;
            int kvHead = index / _headBlocks % Input.KvHeads;
            int row = index / _headBlocks / Input.KvHeads * _rows;
            return new AttentionItem
            {
                KvHead = kvHead,
                Head = (kvHead * group) + (headBlock * _heads),
                Heads = Math.Min(_heads, group - (headBlock * _heads)),
                Row = row,
                Rows = Math.Min(_rows, Input.Rows - row),
            };
        }

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct Kernel : IVecKernel
    {
        public Work Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            for (int index = Begin; index < End; index++)
                Work.Item(index).Forward<T>(Work.Input);
        }
    }
}
