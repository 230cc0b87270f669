namespace MoeKernels.Models.Description;

/// <summary>Sinusoidal positions added to the embedding (NLLB / M2M-100).</summary>
/// <param name="PadToken">The padding token: positions start after its id, and it has none itself.</param>
/// <param name="StoredAs">Type the table of positions is rounded to.</param>
internal sealed record SinusoidalSpec(int PadToken, ElementType StoredAs);

/// <summary>A stack of blocks over one residual stream.</summary>
internal sealed record StackSpec
{
    /// <summary>Name before <c>hidden.{i}</c> in traces: empty, or <c>encoder.</c> and <c>decoder.</c>.</summary>
    public string TracePrefix { get; init; } = string.Empty;

    /// <summary>[vocabulary × hidden].</summary>
    public required TensorName Embedding { get; init; }

    /// <summary>Multiplies embedding rows.</summary>
    public float EmbeddingScale { get; init; } = 1;

    /// <summary>Null where positions act inside attention only.</summary>
    public SinusoidalSpec? Positions { get; init; }

    public required IReadOnlyList<BlockSpec> Blocks { get; init; }

    public required NormSpec FinalNorm { get; init; }
}

/// <summary>A whole model as data: what a family makes of a config, and all the loader and the planner need.</summary>
internal sealed record ModelDescription
{
    /// <summary>The config's <c>model_type</c>.</summary>
    public required string Family { get; init; }

    public required int VocabularySize { get; init; }

    public required int Hidden { get; init; }

    /// <summary>Longest context the config allows (<c>max_position_embeddings</c>).</summary>
    public required int MaxContext { get; init; }

    /// <summary>The decoder, or the only stack.</summary>
    public required StackSpec Decoder { get; init; }

    public StackSpec? Encoder { get; init; }

    /// <summary>The stacks in the order of the computation.</summary>
    public IReadOnlyList<StackSpec> Stacks => Encoder is null ? [Decoder] : [Encoder, Decoder];

    /// <summary>[vocabulary × hidden]; names the embedding where the two are tied.</summary>
    public required LinearSpec Head { get; init; }

    /// <summary>Multiplies the hidden state before the head (Switch with tied embeddings: hidden^-0.5).</summary>
    public float HeadInputScale { get; init; } = 1;

    /// <summary>First decoder input of an encoder-decoder.</summary>
    public int? DecoderStartToken { get; init; }

    public int? PadToken { get; init; }
}
