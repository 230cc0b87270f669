using MoeKernels.Router;

namespace MoeKernels.Tests.Router;

/// <summary>Runs the selection on arrays, with every buffer poisoned first.</summary>
internal sealed unsafe class RouterRun
{
    private RouterRun(RouterSpec spec, int tokens)
    {
        Spec = spec;
        Ids = new int[tokens * spec.TopK];
        Weights = new float[tokens * spec.TopK];
        Array.Fill(Ids, int.MinValue);
        Array.Fill(Weights, float.NaN);
    }

    public RouterSpec Spec { get; }

    /// <summary>[T, k].</summary>
    public int[] Ids { get; }

    /// <summary>[T, k].</summary>
    public float[] Weights { get; }

    public static RouterRun Select(
        RouterSpec spec,
        float[] logits,
        float[]? choiceBias = null,
        float[]? expertScale = null,
        int[]? starts = null,
        int[]? mask = null,
        string? step = null)
    {
        spec.Validate();
        int tokens = logits.Length / spec.Experts;
        var run = new RouterRun(spec, tokens);
        long floats = TopKSelection.ScratchFloats(spec, tokens);
        var scratch = new ulong[(floats + 1) / 2];
        Array.Fill(scratch, ulong.MaxValue);
        fixed (float* logit = logits, bias = choiceBias, scale = expertScale, weights = run.Weights)
        fixed (int* ids = run.Ids, sequences = starts, tokenMask = mask)
        fixed (ulong* memory = scratch)
        {
            var input = new RouterInput
            {
                Logits = logit,
                Tokens = tokens,
                ChoiceBias = bias,
                ExpertScale = scale,
                SequenceStarts = sequences,
                Sequences = starts?.Length ?? 0,
                Mask = tokenMask,
            };
            TopKSelection.Select(spec, input, ids, weights, (float*)memory, step);
        }

        return run;
    }

    /// <summary>Ids of one token.</summary>
    public int[] IdsOf(int token) => Ids[(token * Spec.TopK)..((token + 1) * Spec.TopK)];

    /// <summary>Weights of one token.</summary>
    public float[] WeightsOf(int token) => Weights[(token * Spec.TopK)..((token + 1) * Spec.TopK)];

    /// <summary>[T, E] with the weights of choices that found a place.</summary>
    public float[] Dense(bool ones = false)
    {
        var dense = new float[Ids.Length / Spec.TopK * Spec.Experts];
        for (int i = 0; i < Ids.Length; i++)
        {
            if (Ids[i] >= 0)
                dense[(i / Spec.TopK * Spec.Experts) + Ids[i]] = ones ? 1f : Weights[i];
        }

        return dense;
    }
}
