namespace MoeKernels.Generation;

/// <summary>How a text is continued. Values left null come from the model's <c>generation_config.json</c>, and where
/// that is silent from the defaults given here.</summary>
public sealed record GenerationOptions
{
    /// <summary>Most tokens to produce; null: the model's own, else 512, and never past the end of the
    /// context.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>Divides the logits before sampling; 0 takes the most likely token. Null: the model's own when it
    /// samples (<c>do_sample</c>), else 0.</summary>
    public float? Temperature { get; init; }

    /// <summary>Keeps the k most likely tokens; 0 keeps all. Null: the model's own, else 0.</summary>
    public int? TopK { get; init; }

    /// <summary>Keeps the fewest tokens whose probabilities reach p; 1 keeps all. Null: the model's own, else
    /// 1.</summary>
    public float? TopP { get; init; }

    /// <summary>Keeps tokens at least this fraction as likely as the most likely one; 0 keeps all.</summary>
    public float? MinP { get; init; }

    /// <summary>Divides positive and multiplies negative logits of tokens already in the context; 1 changes
    /// nothing.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Start of the random sequence; the same seed repeats the same text. Null: a new one each time.</summary>
    public int? Seed { get; init; }

    /// <summary>Texts that end the answer wherever they appear, also across tokens; they are not part of the
    /// answer.</summary>
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <summary>Goes on past the end-of-sequence token.</summary>
    public bool IgnoreEndOfSequence { get; init; }

    /// <summary>Whether special tokens appear in the text.</summary>
    public bool IncludeSpecialTokens { get; init; }

    /// <summary>Told how far the prompt is, after each chunk.</summary>
    public IProgress<PrefillProgress>? PrefillProgress { get; init; }
}

/// <summary>How far a prompt has been read.</summary>
/// <param name="Done">Tokens computed.</param>
/// <param name="Total">Tokens of the prompt that were not cached.</param>
public readonly record struct PrefillProgress(int Done, int Total);

/// <summary>Why an answer ended.</summary>
public enum FinishReason
{
    /// <summary>It has not.</summary>
    None,

    /// <summary>The model produced an end-of-sequence token.</summary>
    EndOfSequence,

    /// <summary>A stop text appeared.</summary>
    StopText,

    /// <summary><see cref="GenerationOptions.MaxNewTokens"/> or the end of the context was reached.</summary>
    Length,
}

/// <summary>One step of an answer.</summary>
/// <param name="TokenId">The token; -1 in an update that only brings held-back text.</param>
/// <param name="Text">Text that became final: whole characters only, empty while a character or a possible stop text is
/// still incomplete.</param>
/// <param name="LogProbability">Natural logarithm of the token's probability under the sampling distribution before
/// truncation (temperature included).</param>
/// <param name="Finish">Set on the last update.</param>
public readonly record struct TokenUpdate(int TokenId, string Text, float LogProbability, FinishReason Finish);

/// <summary>What the last call of a session did.</summary>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="CachedTokens">Of these, tokens that were still in the cache.</param>
/// <param name="NewTokens">Tokens produced.</param>
/// <param name="PrefillTime">From the start to the first token's logits: the time to first token.</param>
/// <param name="DecodeTime">From there to the last token.</param>
public readonly record struct GenerationStats(
    int PromptTokens, int CachedTokens, int NewTokens, TimeSpan PrefillTime, TimeSpan DecodeTime)
{
    /// <summary>Prompt tokens computed per second.</summary>
    public double PrefillTokensPerSecond => Rate(PromptTokens - CachedTokens, PrefillTime);

    /// <summary>Tokens per second after the first one.</summary>
    public double DecodeTokensPerSecond => Rate(NewTokens - 1, DecodeTime);

    private static double Rate(int tokens, TimeSpan time) =>
        tokens > 0 && time > TimeSpan.Zero ? tokens / time.TotalSeconds : 0;
}
