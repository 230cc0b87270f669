using MoeKernels.Models.Execution;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>Which results of a router a family's reference outputs hold.</summary>
internal enum RouterTraceForm
{
    /// <summary><c>input</c>, <c>logits</c>, <c>weights</c> falling with their <c>ids</c>.</summary>
    WeightsAndIds,

    /// <summary><c>logits</c>, <c>weights</c> and <c>ids</c> in the order of the groups (Pangu).</summary>
    GroupOrder,

    /// <summary><c>input</c>, <c>logits</c>, <c>scores</c> [T, E], 0 where not chosen (Llama-4).</summary>
    Scores,

    /// <summary><c>input</c>, <c>logits</c>, <c>selected</c> [T, E] as 0 and 1 after capacity, <c>weight</c> [T]
    /// (Switch).</summary>
    Selected,

    /// <summary><c>input</c>, <c>logits</c>, <c>combine</c> [T, E] after capacity (NLLB).</summary>
    Combine,
}

/// <summary>Records what a router did under <c>router.{module}.*</c>.</summary>
internal static unsafe class RouterTrace
{
    /// <summary>Records one call.</summary>
    /// <param name="trace">Where to.</param>
    /// <param name="module">Module path of the router.</param>
    /// <param name="form">Which results.</param>
    /// <param name="spec">The router.</param>
    /// <param name="tokens">T.</param>
    /// <param name="input">[T, inputs].</param>
    /// <param name="inputs">Inputs of the router.</param>
    /// <param name="logits">[T, E].</param>
    /// <param name="ids">[T, k].</param>
    /// <param name="weights">[T, k].</param>
    public static void Record(
        IForwardTrace trace,
        string module,
        RouterTraceForm form,
        RouterSpec spec,
        int tokens,
        float* input,
        int inputs,
        float* logits,
        int* ids,
        float* weights)
    {
        string prefix = $"router.{module}.";
        if (form != RouterTraceForm.GroupOrder)
            trace.Record(prefix + "input", new ReadOnlySpan<float>(input, checked(tokens * inputs)), tokens, inputs);

        int experts = spec.Experts;
        trace.Record(prefix + "logits", new ReadOnlySpan<float>(logits, checked(tokens * experts)), tokens, experts);
        var chosen = new ReadOnlySpan<int>(ids, checked(tokens * spec.TopK));
        var values = new ReadOnlySpan<float>(weights, chosen.Length);
        switch (form)
        {
            case RouterTraceForm.Scores:
                trace.Record(prefix + "scores", Spread(chosen, values, spec), tokens, experts);
                break;
            case RouterTraceForm.Combine:
                trace.Record(prefix + "combine", Spread(chosen, values, spec), tokens, experts);
                break;
            case RouterTraceForm.Selected:
                float[] ones = [.. Enumerable.Repeat(1f, chosen.Length)];
                int[] selected = Array.ConvertAll(Spread(chosen, ones, spec), one => (int)one);
                trace.Record(prefix + "selected", selected, tokens, experts);
                trace.Record(prefix + "weight", values, tokens, 0);
                break;
            case RouterTraceForm.GroupOrder:
                trace.Record(prefix + "weights", values, tokens, spec.TopK);
                trace.Record(prefix + "ids", chosen, tokens, spec.TopK);
                break;
            default:
                RecordSorted(trace, prefix, chosen, values, tokens, spec.TopK);
                break;
        }
    }

    /// <summary>[T, E] with every choice's value in its expert's column.</summary>
    private static float[] Spread(ReadOnlySpan<int> ids, ReadOnlySpan<float> values, RouterSpec spec)
    {
        var spread = new float[ids.Length / spec.TopK * spec.Experts];
        for (int i = 0; i < ids.Length; i++)
        {
            if (ids[i] >= 0)
                spread[(i / spec.TopK * spec.Experts) + ids[i]] = values[i];
        }

        return spread;
    }

    private static void RecordSorted(
        IForwardTrace trace, string prefix, ReadOnlySpan<int> ids, ReadOnlySpan<float> weights, int tokens, int topK)
    {
        int[] sortedIds = ids.ToArray();
        float[] sortedWeights = weights.ToArray();
        var falling = Comparer<(float Weight, int Id)>.Create(
            (a, b) => a.Weight != b.Weight ? b.Weight.CompareTo(a.Weight) : a.Id.CompareTo(b.Id));
        var keys = new (float, int)[topK];
        for (int t = 0; t < tokens; t++)
        {
            for (int j = 0; j < topK; j++)
                keys[j] = (weights[(t * topK) + j], ids[(t * topK) + j]);

            Array.Sort(keys, falling);
            for (int j = 0; j < topK; j++)
                (sortedWeights[(t * topK) + j], sortedIds[(t * topK) + j]) = keys[j];
        }

        trace.Record(prefix + "weights", sortedWeights, tokens, topK);
        trace.Record(prefix + "ids", sortedIds, tokens, topK);
    }
}
