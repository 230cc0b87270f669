namespace MoeKernels.Router;

/// <summary>What a router chooses from: the logits of one forward call and the layer's own vectors, all
/// borrowed.</summary>
internal readonly unsafe struct RouterInput
{
    /// <summary>[T, E], row-major.</summary>
    public required float* Logits { get; init; }

    /// <summary>T, the tokens of all sequences together.</summary>
    public required int Tokens { get; init; }

    /// <summary>[E], added to the scores for choosing; null for none.</summary>
    public float* ChoiceBias { get; init; }

    /// <summary>[E], factors of the routing weights; null for ones.</summary>
    public float* ExpertScale { get; init; }

    /// <summary>First token of every sequence, ascending from 0; null when all tokens are one sequence.</summary>
    public int* SequenceStarts { get; init; }

    /// <summary>Number of <see cref="SequenceStarts"/>.</summary>
    public int Sequences { get; init; }

    /// <summary>1 for tokens, 0 for padding, [T]; null when nothing is padded.</summary>
    public int* Mask { get; init; }

    /// <summary>Whether a token is padding.</summary>
    public bool IsPadding(int token) => Mask != null && Mask[token] == 0;
}
