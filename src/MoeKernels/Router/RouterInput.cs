namespace MoeKernels.Router;

/// <summary>What a router chooses from: the logits of one forward call and the layer's own vectors.</summary>
internal readonly unsafe ref struct RouterInput
{
    /// <summary>[T, E], row-major.</summary>
    public required float* Logits { get; init; }

    /// <summary>T, the tokens of all sequences together.</summary>
    public required int Tokens { get; init; }

    /// <summary>[E], added to the scores for choosing; null for none.</summary>
    public float* ChoiceBias { get; init; }

    /// <summary>[E], factors of the routing weights; null for ones.</summary>
    public float* ExpertScale { get; init; }

    /// <summary>First token of every sequence, ascending from 0; empty when all tokens are one sequence.</summary>
    public ReadOnlySpan<int> SequenceStarts { get; init; }

    /// <summary>1 for tokens, 0 for padding, [T]; empty when nothing is padded.</summary>
    public ReadOnlySpan<int> Mask { get; init; }

    /// <summary>Name of the router in errors, for example <c>model.layers.3.mlp.gate</c>.</summary>
    public string? Step { get; init; }
}
