namespace MoeKernels.Generation.Evaluation;

/// <summary>Running sums of an evaluation, in double precision.</summary>
internal struct EvaluationSums
{
    private double _kl;
    private long _sameTop;

    /// <summary>Sum of the negative log likelihoods.</summary>
    public double Nll { get; private set; }

    /// <summary>Targets so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>Adds the rows of one call.</summary>
    /// <param name="model">Logits of the model.</param>
    /// <param name="reference">Logits of the reference for the same inputs, or null.</param>
    /// <param name="targets">The token that follows each input.</param>
    public void Add(WindowScorer model, WindowScorer? reference, ReadOnlySpan<int> targets)
    {
        for (int row = 0; row < targets.Length; row++)
        {
            var logits = model.Row(row);
            double normalizer = LogSumExp(logits);
            Nll += normalizer - logits[targets[row]];
            if (reference is not null)
            {
                _kl += Divergence(reference.Row(row), logits, normalizer);
                _sameTop += Sampler.ArgMax(reference.Row(row)) == Sampler.ArgMax(logits) ? 1 : 0;
            }
        }

        Tokens += targets.Length;
    }

    /// <summary>Whether the sums are numbers.</summary>
    public readonly bool IsFinite => double.IsFinite(Nll) && double.IsFinite(_kl);

    /// <summary>Means over all targets.</summary>
    public readonly EvaluationResult Result(int windows, bool hasReference) => new(
        Nll / Tokens,
        Tokens,
        windows,
        hasReference ? _kl / Tokens : null,
        hasReference ? (double)_sameTop / Tokens : null);

    /// <summary><c>log Σ exp(x)</c>.</summary>
    internal static double LogSumExp(ReadOnlySpan<float> values)
    {
        float highest = values[Sampler.ArgMax(values)];
        double sum = 0;
        foreach (float value in values)
        {
            sum += Math.Exp((double)value - highest);
        }

        return highest + Math.Log(sum);
    }

    /// <summary><c>Σ p (log p - log q)</c> with p the reference's and q the model's distribution.</summary>
    internal static double Divergence(ReadOnlySpan<float> reference, ReadOnlySpan<float> model, double modelNormalizer)
    {
        double normalizer = LogSumExp(reference);
        double sum = 0;
        for (int i = 0; i < reference.Length; i++)
        {
            double logP = reference[i] - normalizer;
            double p = Math.Exp(logP);

            // A token that the reference excludes adds nothing, also where the model excludes it too.
            sum += p > 0 ? p * (logP - (model[i] - modelNormalizer)) : 0;
        }

        return sum;
    }
}
