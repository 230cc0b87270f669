namespace MoeKernels.Router;

/// <summary>The score functions: a token's logits [E] to scores [E].</summary>
internal static unsafe class RouterScores
{
    /// <summary>Computes the scores of one token.</summary>
    /// <exception cref="MoeNonFiniteException">A logit is NaN or infinite.</exception>
    public static void Compute(RouterSpec spec, float* logits, float* scores, int token, string? step)
    {
        float poison = 0f;
        for (int e = 0; e < spec.Experts; e++)
        {
            // 0 · x is 0 for finite x and NaN otherwise: one test for the row instead of one for each logit.
            poison += 0f * logits[e];
        }

        if (poison != 0f)
            ThrowNonFinite(logits, spec.Experts, token, step);

        switch (spec.Score)
        {
            case RouterScore.Softmax:
                Softmax(logits, scores, spec.Experts);
                break;
            case RouterScore.Sigmoid:
                for (int e = 0; e < spec.Experts; e++)
                    scores[e] = DeterministicMath.Sigmoid(logits[e]);
                break;
            default:
                new ReadOnlySpan<float>(logits, spec.Experts).CopyTo(new Span<float>(scores, spec.Experts));
                break;
        }
    }

    /// <summary>The greatest score of a token, with the bits that <see cref="Compute"/> gives it.</summary>
    public static float Best(RouterSpec spec, float* logits)
    {
        float max = Max(logits, spec.Experts);
        if (spec.Score == RouterScore.Sigmoid)
            return DeterministicMath.Sigmoid(max);
        if (spec.Score == RouterScore.None)
            return max;

        float sum = 0f;
        for (int e = 0; e < spec.Experts; e++)
            sum += DeterministicMath.Exp(logits[e] - max);
        return 1f / sum;
    }

    /// <summary><c>y = exp(x - max x) / Σ</c>, the sum in ascending order; y may be x.</summary>
    public static void Softmax(float* x, float* y, int count)
    {
        float max = Max(x, count);
        float sum = 0f;
        for (int i = 0; i < count; i++)
        {
            y[i] = DeterministicMath.Exp(x[i] - max);
            sum += y[i];
        }

        for (int i = 0; i < count; i++)
            y[i] /= sum;
    }

    private static float Max(float* x, int count)
    {
        float max = x[0];
        for (int i = 1; i < count; i++)
            max = x[i] > max ? x[i] : max;
        return max;
    }

    private static void ThrowNonFinite(float* logits, int experts, int token, string? step)
    {
        int expert = 0;
        while (expert < experts - 1 && float.IsFinite(logits[expert]))
            expert++;
        throw new MoeNonFiniteException(
            step ?? "router", $"the logit of expert {expert} for row {token} of the call is {logits[expert]}");
    }
}
