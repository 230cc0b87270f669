using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>Cosines and sines of a rotary embedding. One table serves all layers with the same <see cref="RopeSpec"/>
/// and all sessions; it grows in blocks as positions are first used.</summary>
/// <remarks>Dynamic scaling beyond the original context depends on the sequence's length in a call and is computed for
/// the call, each sequence by itself: token by token differs from one prefill there, by design.</remarks>
internal sealed unsafe class RopeTable : IDisposable
{
    private const int BlockPositions = 256;

    private readonly Lock _growing = new();
    private readonly RopeSpec _spec;
    private readonly float[] _frequencies;
    private volatile NativeBuffer?[] _blocks = [];

    /// <summary>Computes the frequencies; cosines and sines follow on use.</summary>
    public RopeTable(RopeSpec spec)
    {
        _spec = spec;
        _frequencies = new float[spec.Dimensions / 2];
        RopeFrequencies.Compute(spec, spec.OriginalContext, _frequencies);
    }

    /// <summary>Floats of a table for positions below <paramref name="contextLength"/>.</summary>
    public static long Floats(RopeSpec spec, int contextLength) =>
        (contextLength + BlockPositions - 1L) / BlockPositions * BlockPositions * spec.Dimensions;

    /// <summary>Rotated elements of a head: a row of angles is [cos of each pair, sin of each pair].</summary>
    public int Dimensions => _spec.Dimensions;

    /// <summary>Floats <see cref="TakeAngles"/> takes from the workspace.</summary>
    public static long ScratchFloats(RopeSpec spec, int rows) => Workspace.Rounded((long)rows * spec.Dimensions);

    /// <summary>Takes an array from the workspace and fills in the angles of the batch's rows.</summary>
    /// <returns>[rows × <see cref="Dimensions"/>].</returns>
    public float* TakeAngles(ForwardContext context)
    {
        float* angles = context.Workspace.Take((long)context.Batch.Rows * Dimensions);
        foreach (SequenceRows sequence in context.Batch.Sequences)
        {
            float* target = angles + ((long)sequence.FirstRow * Dimensions);
            int length = sequence.Position + sequence.Rows;
            if (_spec.Scaling == RopeScaling.Dynamic && length > _spec.OriginalContext)
                FillDynamic(sequence.Position, sequence.Rows, length, target);
            else
                Fill(sequence.Position, sequence.Rows, target);
        }

        return angles;
    }

    /// <summary>Rotates the first <see cref="Dimensions"/> elements of every head of every row, in place.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="angles">[rows × <see cref="Dimensions"/>], of <see cref="TakeAngles"/>.</param>
    /// <param name="x">First rotated element of head 0 of row 0.</param>
    /// <param name="rows">Rows of the batch.</param>
    /// <param name="rowStride">Distance between two rows in floats.</param>
    /// <param name="heads">Heads of a row.</param>
    /// <param name="headStride">Distance between two heads in floats.</param>
    public void Rotate(
        WorkerPool pool, float* angles, float* x, int rows, nint rowStride, int heads, nint headStride)
    {
        RotateWork work = new()
        {
            Angles = angles,
            X = x,
            RowStride = rowStride,
            Heads = heads,
            HeadStride = headStride,
            Dimensions = Dimensions,
            Interleaved = _spec.Interleaved,
        };
        pool.Run(ref work, rows);
    }

    /// <summary>Rotates one head in place.</summary>
    /// <param name="angles">The row's angles, [<see cref="Dimensions"/>].</param>
    /// <param name="x">First rotated element.</param>
    /// <param name="dimensions">Rotated elements.</param>
    /// <param name="interleaved">Neighbours or halves.</param>
    public static void RotateHead(float* angles, float* x, int dimensions, bool interleaved)
    {
        int pairs = dimensions / 2;
        if (interleaved)
            Rope.Interleaved(x, angles, angles + pairs, pairs);
        else
            Rope.HalfSplit(x, angles, angles + pairs, pairs);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (NativeBuffer? block in _blocks)
            block?.Dispose();
    }

    private void Fill(int position, int rows, float* target)
    {
        for (int row = 0; row < rows;)
        {
            int inBlock = (position + row) % BlockPositions;
            int count = Math.Min(rows - row, BlockPositions - inBlock);
            float* source = (float*)Block((position + row) / BlockPositions).Pointer + (inBlock * Dimensions);
            long bytes = (long)count * Dimensions * sizeof(float);
            Buffer.MemoryCopy(source, target + ((long)row * Dimensions), bytes, bytes);
            row += count;
        }
    }

    private void FillDynamic(int position, int rows, int length, float* target)
    {
        // The frequencies of this length stay in the first row's place until that row is computed, last.
        int pairs = Dimensions / 2;
        Span<float> frequencies = new(target, pairs);
        RopeFrequencies.Compute(_spec, length, frequencies);
        float scale = (float)_spec.AttentionFactor;
        for (int row = rows - 1; row >= 0; row--)
            RopeAngles.Compute(frequencies, position + row, scale, target + ((long)row * Dimensions));
    }

    private NativeBuffer Block(int index)
    {
        NativeBuffer?[] blocks = _blocks;
        return (index < blocks.Length ? Volatile.Read(ref blocks[index]) : null) ?? Grow(index);
    }

    private NativeBuffer Grow(int index)
    {
        lock (_growing)
        {
            NativeBuffer?[] blocks = _blocks;
            if (index >= blocks.Length)
            {
                Array.Resize(ref blocks, Math.Max(index + 1, 2 * blocks.Length));
                _blocks = blocks;
            }

            if (blocks[index] is { } present)
                return present;
            NativeBuffer block = NativeBuffer.Allocate(
                (long)BlockPositions * Dimensions * sizeof(float), "the rotary embedding");
            for (int i = 0; i < BlockPositions; i++)
            {
                RopeAngles.Compute(
                    _frequencies, (index * BlockPositions) + i, (float)_spec.AttentionFactor,
                    (float*)block.Pointer + (i * Dimensions));
            }

            Volatile.Write(ref blocks[index], block);
            return block;
        }
    }

    private struct RotateWork : IWork
    {
        public float* Angles;
        public float* X;
        public nint RowStride;
        public int Heads;
        public nint HeadStride;
        public int Dimensions;
        public bool Interleaved;

        public readonly void Execute(int begin, int end, int worker)
        {
            for (int row = begin; row < end; row++)
            {
                float* angles = Angles + ((long)row * Dimensions);
                for (int head = 0; head < Heads; head++)
                    RotateHead(angles, X + (row * RowStride) + (head * HeadStride), Dimensions, Interleaved);
            }
        }
    }
}
