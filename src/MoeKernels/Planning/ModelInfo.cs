namespace MoeKernels.Planning;

/// <summary>What a group of weights is for.</summary>
public enum WeightRole
{
    /// <summary>Token embedding (and the head, where the two are tied).</summary>
    Embedding,

    /// <summary>Attention, its norms, and recurrent mixers.</summary>
    Attention,

    /// <summary>Routers and their biases.</summary>
    Router,

    /// <summary>Experts of which each token uses a few.</summary>
    RoutedExperts,

    /// <summary>Experts every token uses.</summary>
    SharedExperts,

    /// <summary>Dense feed-forward networks.</summary>
    FeedForward,

    /// <summary>Norms of the residual stream.</summary>
    Norms,

    /// <summary>Output head.</summary>
    Head,

    /// <summary>Tensors the model does not use (for example multi-token-prediction layers).</summary>
    Unused,
}

/// <summary>Weights with one role.</summary>
/// <param name="Role">What they are for.</param>
/// <param name="Parameters">Numbers the model was trained with (scales of quantised formats not counted).</param>
/// <param name="Bytes">Their size in the files, scales included.</param>
public readonly record struct ModelPart(WeightRole Role, long Parameters, long Bytes);

/// <summary>One tensor of a model folder.</summary>
/// <param name="Name">Name in the file.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, slowest first.</param>
/// <param name="Bytes">Size in the file.</param>
/// <param name="Role">What it is for.</param>
public sealed record TensorSummary(
    string Name, ElementType Type, IReadOnlyList<long> Shape, long Bytes, WeightRole Role);

/// <summary>What a model folder holds, read from its config and headers only.</summary>
public sealed record ModelInfo
{
    /// <summary>The folder.</summary>
    public required string Path { get; init; }

    /// <summary>The config's <c>model_type</c>.</summary>
    public required string Family { get; init; }

    /// <summary>Version of transformers that saved the folder; null when another program wrote it.</summary>
    public string? TransformersVersion { get; init; }

    /// <summary>Whether a source is encoded before the answer is decoded (Switch, NLLB).</summary>
    public bool IsEncoderDecoder { get; init; }

    /// <summary>Blocks, encoder and decoder together.</summary>
    public required int Layers { get; init; }

    /// <summary>Blocks with routed experts.</summary>
    public required int MoeLayers { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int Hidden { get; init; }

    /// <summary>Rows of the embedding.</summary>
    public required int Vocabulary { get; init; }

    /// <summary>Longest context the config allows.</summary>
    public required int MaxContext { get; init; }

    /// <summary>Routed experts per MoE layer (the largest layer); 0 for dense models.</summary>
    public required int Experts { get; init; }

    /// <summary>Routed experts each token uses.</summary>
    public required int ExpertsPerToken { get; init; }

    /// <summary>Routers by layer: what each one does, in the words of <see cref="Router.RouterSpec"/>.</summary>
    public required IReadOnlyList<string> Routers { get; init; }

    /// <summary>Weights by role.</summary>
    public required IReadOnlyList<ModelPart> Parts { get; init; }

    /// <summary>Coded matrices, in name order; empty for a model that is not compressed.</summary>
    public IReadOnlyList<CodedStack> Coded { get; init; } = [];

    /// <summary>All tensors, in name order.</summary>
    public required IReadOnlyList<TensorSummary> Tensors { get; init; }

    /// <summary>Weight files.</summary>
    public required IReadOnlyList<string> Files { get; init; }

    /// <summary>All parameters the model uses.</summary>
    public long Parameters => Parts.Where(part => part.Role != WeightRole.Unused).Sum(part => part.Parameters);

    /// <summary>Parameters that take part in one token: all but the routed experts it does not use.</summary>
    public long ActiveParameters =>
        Parameters - RoutedParameters + (Experts == 0 ? 0 : RoutedParameters / Experts * ExpertsPerToken);

    /// <summary>Bytes of the weights the model uses.</summary>
    public long Bytes => Parts.Where(part => part.Role != WeightRole.Unused).Sum(part => part.Bytes);

    /// <summary>Bits per routed-expert parameter, scales included; 0 for dense models.</summary>
    public double ExpertBits => RoutedParameters == 0
        ? 0
        : 8.0 * Parts.First(part => part.Role == WeightRole.RoutedExperts).Bytes / RoutedParameters;

    private long RoutedParameters =>
        Parts.Where(part => part.Role == WeightRole.RoutedExperts).Sum(part => part.Parameters);
}
