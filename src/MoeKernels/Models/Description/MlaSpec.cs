using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Description;

/// <summary>Multi-head latent attention (DeepSeek-V2/V3): keys and values are projections of one cached latent per
/// position.</summary>
/// <remarks>The cache holds [KvRank] normalised latents and [RopeDim] rotated shared keys per position, nothing per
/// head.</remarks>
internal sealed record MlaSpec : LayerSpec
{
    /// <summary>Floats of all heads' queries and results in latent space that are in flight at a time. They are up to
    /// eight times wider than the queries themselves, so rows are taken in blocks of about this size.</summary>
    public long BlockFloats { get; init; } = 4 << 20;

    public required int Heads { get; init; }

    /// <summary>Elements of a query/key head without positions.</summary>
    public required int NopeDim { get; init; }

    /// <summary>Elements of a query/key head with rotary positions; the key part is shared by all heads.</summary>
    public required int RopeDim { get; init; }

    public required int ValueDim { get; init; }

    public required int KvRank { get; init; }

    /// <summary>Multiplies the scores.</summary>
    public required float Scale { get; init; }

    public required RopeSpec Rope { get; init; }

    /// <summary>Direct query projection [Heads * (NopeDim + RopeDim) × hidden], when there is no low-rank
    /// one.</summary>
    public LinearSpec? Query { get; init; }

    /// <summary>[query rank × hidden] (<c>q_a_proj</c>).</summary>
    public LinearSpec? QueryDown { get; init; }

    /// <summary>Between <see cref="QueryDown"/> and <see cref="QueryUp"/>.</summary>
    public NormSpec? QueryNorm { get; init; }

    /// <summary>[Heads * (NopeDim + RopeDim) × query rank] (<c>q_b_proj</c>).</summary>
    public LinearSpec? QueryUp { get; init; }

    /// <summary>[KvRank + RopeDim × hidden] (<c>kv_a_proj_with_mqa</c>).</summary>
    public required LinearSpec KvDown { get; init; }

    /// <summary>Over the KvRank elements of the latent.</summary>
    public required NormSpec KvNorm { get; init; }

    /// <summary>[Heads * (NopeDim + ValueDim) × KvRank] (<c>kv_b_proj</c>), per head NopeDim key rows then ValueDim
    /// value rows.</summary>
    public required LinearSpec KvUp { get; init; }

    /// <summary>[hidden × Heads * ValueDim].</summary>
    public required LinearSpec Output { get; init; }

    /// <summary>Elements of a query head.</summary>
    public int QueryDim => NopeDim + RopeDim;

    /// <summary>Elements of a cached position, and of a query head in latent space.</summary>
    public int LatentDim => KvRank + RopeDim;

    /// <summary>Rows that pass through the latent space together.</summary>
    public int BlockRows(int rows) =>
        (int)Math.Clamp(BlockFloats / ((long)Heads * (LatentDim + KvRank)), 1, rows);

    /// <inheritdoc/>
    public override long StateBytes(int contextLength) => LatentCache.Bytes(LatentDim, contextLength);

    /// <inheritdoc/>
    public override long ScratchFloats(int rows, int contextLength, int threads)
    {
        long blockHeads = (long)BlockRows(rows) * Heads;
        return Workspace.Rounded((long)rows * Heads * QueryDim)
            + Workspace.Rounded((long)rows * LatentDim)
            + Workspace.Rounded((long)rows * (QueryDown?.Outputs ?? 0))
            + RopeTable.ScratchFloats(Rope, rows)
            + Workspace.Rounded((long)rows * Heads * ValueDim)
            + (2 * Workspace.Rounded(rows))
            + Workspace.Rounded(blockHeads * LatentDim)
            + Workspace.Rounded(blockHeads * KvRank);
    }
}
