using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;

namespace MoeKernels.Models.Layers;

/// <summary>T5's relative position bias: what attention adds to the score of a query and a key depends on the bucket
/// their distance falls into and on the head.</summary>
/// <remarks>
/// The bias is a function of the distance alone, so a call needs heads × (queries + keys - 1) numbers, not
/// heads × queries × keys: consecutive queries read the same table shifted by one.
/// </remarks>
/// <param name="spec">Number of buckets and their reach.</param>
/// <param name="heads">Attention heads.</param>
/// <param name="weights">[buckets × heads].</param>
internal sealed unsafe class RelativePositionBias(RelativeBiasSpec spec, int heads, float* weights)
{
    /// <summary>Bucket of every distance from -reach to reach; what lies beyond is in the outermost ones.</summary>
    private readonly int[] _buckets =
        [.. Enumerable.Range(-spec.MaxDistance, (2 * spec.MaxDistance) + 1).Select(distance => Bucket(spec, distance))];

    /// <summary>Largest distance with a bias of its own.</summary>
    public int Reach => spec.MaxDistance;

    /// <summary>Attention heads.</summary>
    public int Heads => heads;

    /// <summary>Floats that <see cref="Attach"/> takes from the workspace.</summary>
    public static long ScratchFloats(int heads, int queries, int keys) =>
        Workspace.Rounded(heads * ((long)queries + keys - 1));

    /// <summary>The bucket of a distance, key position minus query position.</summary>
    /// <remarks>Small distances have a bucket each, larger ones share buckets that widen with the logarithm. Computed
    /// in fp32, as the reference library does, since the result is truncated.</remarks>
    public static int Bucket(RelativeBiasSpec spec, int distance)
    {
        int buckets = spec.Buckets;
        int bucket = 0;
        if (spec.Bidirectional)
        {
            buckets /= 2;
            bucket = distance > 0 ? buckets : 0;
            distance = Math.Abs(distance);
        }
        else
        {
            // A causal query has no later keys.
            distance = Math.Max(-distance, 0);
        }

        int exact = buckets / 2;
        if (distance < exact)
            return bucket + distance;
        float ratio = (float)Math.Log((float)distance / exact) / (float)Math.Log((double)spec.MaxDistance / exact);
        return bucket + Math.Min(exact + (int)(ratio * (buckets - exact)), buckets - 1);
    }

    /// <summary>Adds the bias of consecutive queries over consecutive keys to an attention call.</summary>
    /// <param name="workspace">Gives the table, which must stay taken until the call is over.</param>
    /// <param name="input">The call; receives the table and its strides.</param>
    /// <param name="query">Position of the first query.</param>
    /// <param name="key">Position of the first key.</param>
    /// <param name="keys">Number of keys.</param>
    public void Attach(Workspace workspace, ref AttentionInput input, int query, int key, int keys)
    {
        int queries = input.Rows;
        int count = queries + keys - 1;
        float* table = workspace.Take((long)heads * count);
        int first = key - query - (queries - 1);
        for (int head = 0; head < heads; head++)
            Fill(head, first, new Span<float>(table + ((nint)head * count), count));
        input.Bias = table + (queries - 1);
        input.BiasStride = -1;
        input.BiasHeadStride = count;
    }

    /// <summary>The bias of a head at consecutive distances; beyond the reach it is constant, and decoding far into a
    /// text is mostly beyond.</summary>
    private void Fill(int head, int first, Span<float> biases)
    {
        int reach = spec.MaxDistance;
        int before = Math.Clamp(-reach - first, 0, biases.Length);
        int within = Math.Clamp(reach + 1 - first, before, biases.Length);
        biases[..before].Fill(Value(head, -reach));
        for (int i = before; i < within; i++)
            biases[i] = Value(head, first + i);
        biases[within..].Fill(Value(head, reach));
    }

    /// <summary>The biases of all distances from -<see cref="Reach"/> to <see cref="Reach"/>,
    /// [heads × 2 reach + 1].</summary>
    public float[] Table()
    {
        int count = (2 * Reach) + 1;
        var table = new float[heads * count];
        for (int head = 0; head < heads; head++)
            Fill(head, -Reach, table.AsSpan(head * count, count));
        return table;
    }

    /// <summary>The bias of a head at a distance.</summary>
    public float Value(int head, int distance)
    {
        int clamped = Math.Clamp(distance, -spec.MaxDistance, spec.MaxDistance);
        return weights[(_buckets[clamped + spec.MaxDistance] * heads) + head];
    }
}
