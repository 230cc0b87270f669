using System.Numerics;
using System.Runtime.InteropServices;

namespace MoeKernels.Router;

/// <summary>The score functions: a token's logits [E] to scores [E].</summary>
internal static unsafe class RouterScores
{
    /// <summary>Looks for logits that no choice can be made from.</summary>
    /// <exception cref="MoeNonFiniteException">A logit is NaN or infinite; padding that is not routed does not
    /// count.</exception>
    public static void Check(RouterSpec spec, in RouterInput input, string? step)
    {
        for (int t = 0; t < input.Tokens; t++)
        {
            var row = new ReadOnlySpan<float>(input.Logits + ((long)t * spec.Experts), spec.Experts);
            if (!IsFinite(row) && !(spec.SkipPadding && input.IsPadding(t)))
                ThrowNonFinite(row, t, step);
        }
    }

    /// <summary>Computes the scores [E] of one token from its finite logits [E].</summary>
    public static void Compute(in RowRules rules, float* logits, float* scores)
    {
        switch (rules.Score)
        {
            case RouterScore.Softmax:
                Softmax(logits, scores, rules.Experts);
                break;
            case RouterScore.Sigmoid:
                for (int e = 0; e < rules.Experts; e++)
                    scores[e] = DeterministicMath.Sigmoid(logits[e]);
                break;
            default:
                new ReadOnlySpan<float>(logits, rules.Experts).CopyTo(new Span<float>(scores, rules.Experts));
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

    private static bool IsFinite(ReadOnlySpan<float> row)
    {
        // 0 · x is 0 for finite x and NaN otherwise: one test for many logits instead of one for each.
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(row);
        var poison = Vector<float>.Zero;
        foreach (var vector in vectors)
            poison += Vector<float>.Zero * vector;

        float sum = Vector.Sum(poison);
        foreach (float logit in row[(vectors.Length * Vector<float>.Count)..])
            sum += 0f * logit;
        return sum == 0f;
    }

    private static void ThrowNonFinite(ReadOnlySpan<float> row, int token, string? step)
    {
        int expert = 0;
        while (float.IsFinite(row[expert]))
            expert++;
        throw new MoeNonFiniteException(
            step ?? "router", $"the logit of expert {expert} for row {token} of the call is {row[expert]}");
    }
}
