namespace MoeKernels.Generation.Evaluation;

/// <summary>Running sums of an evaluation, in double precision, and the divergence of every target: a percentile needs
/// them all.</summary>
/// <param name="hasReference">Whether every call brings the logits of a reference.</param>
internal sealed class EvaluationSums(bool hasReference)
{
    private readonly List<double> _divergences = [];
    private double _referenceNll;
    private double _kl;
    private long _sameTop;

    /// <summary>Sum of the negative log likelihoods.</summary>
    public double Nll { get; private set; }

    /// <summary>Targets so far.</summary>
    public long Tokens { get; private set; }

    /// <summary>Adds the rows of one call: measured side by side, summed in order.</summary>
    /// <param name="model">Logits of the model.</param>
    /// <param name="reference">Logits of the reference for the same inputs, or null.</param>
    /// <param name="targets">The token that follows each input.</param>
    public void Add(WindowScorer model, WindowScorer? reference, ReadOnlySpan<int> targets)
    {
        int[] following = targets.ToArray();
        var figures = new TargetFigures[following.Length];
        var parallelism = new ParallelOptions { MaxDegreeOfParallelism = model.Threads };
        Parallel.For(0, figures.Length, parallelism, row => figures[row] = Measure(
            model.Row(row), reference is null ? default : reference.Row(row), following[row]));
        foreach (TargetFigures figure in figures)
        {
            Add(figure);
        }
    }

    /// <summary>Adds one target.</summary>
    /// <param name="model">The model's logits, [vocabulary].</param>
    /// <param name="reference">The reference's logits, [vocabulary]; ignored without a reference.</param>
    /// <param name="target">The token that follows.</param>
    public void Add(ReadOnlySpan<float> model, ReadOnlySpan<float> reference, int target) =>
        Add(Measure(model, reference, target));

    /// <summary>Whether the sums are numbers.</summary>
    public bool IsFinite => double.IsFinite(Nll) && double.IsFinite(_referenceNll) && double.IsFinite(_kl);

    /// <summary>Means over all targets.</summary>
    public EvaluationResult Result(int windows)
    {
        var result = new EvaluationResult(Nll / Tokens, Tokens, windows);
        return !hasReference ? result : result with
        {
            ReferenceNll = _referenceNll / Tokens,
            Kl = _kl / Tokens,
            Kl99 = Percentile(_divergences, 99),
            SameTop = (double)_sameTop / Tokens,
        };
    }

    private TargetFigures Measure(ReadOnlySpan<float> model, ReadOnlySpan<float> reference, int target)
    {
        double normalizer = LogSumExp(model);
        var figures = new TargetFigures { Nll = normalizer - model[target] };
        if (!hasReference)
        {
            return figures;
        }

        double referenceNormalizer = LogSumExp(reference);
        return figures with
        {
            ReferenceNll = referenceNormalizer - reference[target],
            Divergence = Divergence(reference, referenceNormalizer, model, normalizer),
            SameTop = Sampler.ArgMax(reference) == Sampler.ArgMax(model),
        };
    }

    private void Add(in TargetFigures figures)
    {
        Nll += figures.Nll;
        Tokens++;
        if (hasReference)
        {
            _referenceNll += figures.ReferenceNll;
            _kl += figures.Divergence;
            _divergences.Add(figures.Divergence);
            _sameTop += figures.SameTop ? 1 : 0;
        }
    }

    /// <summary>The smallest value that at least so many percent of all values do not exceed.</summary>
    internal static double Percentile(IReadOnlyCollection<double> values, int percent)
    {
        double[] sorted = [.. values.Order()];
        long rank = (((long)sorted.Length * percent) + 99) / 100;
        return sorted[Math.Max(rank, 1) - 1];
    }

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
    internal static double Divergence(
        ReadOnlySpan<float> reference, double referenceNormalizer, ReadOnlySpan<float> model, double modelNormalizer)
    {
        double sum = 0;
        for (int i = 0; i < reference.Length; i++)
        {
            double logP = reference[i] - referenceNormalizer;
            double p = Math.Exp(logP);

            // A token that the reference excludes adds nothing, also where the model excludes it too.
            sum += p > 0 ? p * (logP - (model[i] - modelNormalizer)) : 0;
        }

        return sum;
    }

    /// <summary>What one target adds.</summary>
    private readonly record struct TargetFigures(double Nll, double ReferenceNll, double Divergence, bool SameTop);
}
