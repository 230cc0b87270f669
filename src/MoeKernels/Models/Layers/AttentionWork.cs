using MoeKernels.Cpu;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>Clips, rotates and scales the queries, keys and values of one sequence; one item a row.</summary>
internal unsafe struct RotateWork : IWork
{
    /// <summary>[rows × heads × query head stride].</summary>
    public float* Q;

    /// <summary>[rows × kv heads × head dim].</summary>
    public float* K, V;

    public int Heads, KeyValueHeads, HeadDim, QueryHeadStride;

    /// <summary>[rows × dimensions], see <see cref="RopeTable.TakeAngles"/>; null without rotary positions.</summary>
    public float* Angles;

    /// <summary>Rotated elements of a head.</summary>
    public int Dimensions;

    public bool Interleaved;

    /// <summary>Infinite when nothing is clipped.</summary>
    public float Clip;

    /// <summary>[rows], or null without temperature.</summary>
    public float* Temperatures;

    /// <inheritdoc/>
    public readonly void Execute(int begin, int end, int worker)
    {
        for (int row = begin; row < end; row++)
        {
            float* q = Q + ((nint)row * Heads * QueryHeadStride);
            float* k = K + ((nint)row * KeyValueHeads * HeadDim);
            if (float.IsFinite(Clip))
                ClipRow(q, k, V + ((nint)row * KeyValueHeads * HeadDim));
            if (Angles != null)
            {
                RotateHeads(q, row, Heads, QueryHeadStride);
                RotateHeads(k, row, KeyValueHeads, HeadDim);
            }

            if (Temperatures != null)
                Vec.Scale(q, Temperatures[row], q, Heads * QueryHeadStride);
        }
    }

    private readonly void ClipRow(float* q, float* k, float* v)
    {
        Vec.Clamp(q, -Clip, Clip, q, Heads * QueryHeadStride);
        Vec.Clamp(k, -Clip, Clip, k, KeyValueHeads * HeadDim);
        Vec.Clamp(v, -Clip, Clip, v, KeyValueHeads * HeadDim);
    }

    private readonly void RotateHeads(float* heads, int row, int count, int stride)
    {
        for (int head = 0; head < count; head++)
            RopeTable.RotateHead(Angles + ((nint)row * Dimensions), heads + (head * stride), Dimensions, Interleaved);
    }
}

/// <summary>Stores keys and values of one sequence in its cache; one item a row.</summary>
/// <param name="target">The cache.</param>
/// <param name="position">Position of row 0.</param>
/// <param name="k">[rows × kv heads × head dim].</param>
/// <param name="v">[rows × kv heads × head dim].</param>
internal readonly unsafe struct StoreWork(KeyValueTarget target, int position, float* k, float* v) : IWork
{
    /// <inheritdoc/>
    public void Execute(int begin, int end, int worker)
    {
        nint width = (nint)target.Heads * target.HeadDim;
        for (int row = begin; row < end; row++)
            target.Write(position + row, k + (row * width), v + (row * width));
    }
}

/// <summary>Multiplies attended values by the sigmoid of their gates; one item a row.</summary>
/// <param name="y">[rows × heads × head dim].</param>
/// <param name="gates">First gate; [rows × heads × 2 × head dim], query and gate alternating.</param>
/// <param name="heads">Query heads.</param>
/// <param name="headDim">Elements of a head.</param>
internal readonly unsafe struct GateWork(float* y, float* gates, int heads, int headDim) : IWork
{
    /// <inheritdoc/>
    public void Execute(int begin, int end, int worker)
    {
        for (nint head = (nint)begin * heads; head < (nint)end * heads; head++)
        {
            float* values = y + (head * headDim);
            Vec.MultiplySigmoid(values, gates + (head * 2 * headDim), values, headDim);
        }
    }
}
