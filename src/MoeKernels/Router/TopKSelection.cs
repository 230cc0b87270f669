namespace MoeKernels.Router;

/// <summary>From router logits to expert ids and routing weights, as a <see cref="RouterSpec"/> says.</summary>
/// <remarks>
/// Order of a token's choices: best choice value first, equal values by smaller id; under
/// <see cref="GroupRule.SamePerGroup"/> group after group, best first inside each. Combine adds in this order.
/// Everything is scalar and every sum ascends, so a row's bits depend on the row alone (capacities apart).
/// </remarks>
internal static unsafe class TopKSelection
{
    /// <summary>Floats of 8-byte aligned scratch memory that <see cref="Select"/> needs.</summary>
    public static long ScratchFloats(RouterSpec spec, int tokens) =>
        CapacityLimiter.ScratchFloats(spec, tokens) + RowScratchFloats(spec);

    /// <summary>Chooses for every token. Allocates nothing.</summary>
    /// <param name="spec">A valid specification.</param>
    /// <param name="input">Logits and vectors.</param>
    /// <param name="topkIds">Receives [T, k] expert ids; -1 where the choice was dropped or the token is padding.</param>
    /// <param name="topkWeights">Receives [T, k] routing weights, without <see cref="RouterSpec.OutputFactor"/>. A dropped
    /// choice keeps the weight it had, or gets 0 where survivors are normalised; a padding token has zeros.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/>.</param>
    /// <exception cref="MoeNonFiniteException">A logit is NaN or infinite.</exception>
    public static void Select(
        RouterSpec spec, in RouterInput input, int* topkIds, float* topkWeights, float* scratch)
    {
        float* rowScratch = scratch + CapacityLimiter.ScratchFloats(spec, input.Tokens);
        SelectRows(spec, input, 0, input.Tokens, topkIds, topkWeights, rowScratch);
        LimitRows(spec, input, topkIds, topkWeights, scratch);
    }

    /// <summary>Floats of scratch memory that a row needs: scores, choice values, group values and kept groups.</summary>
    public static long RowScratchFloats(RouterSpec spec) => (2L * spec.Experts) + (3L * spec.Groups);

    /// <summary>The first half of <see cref="Select"/>, which looks at each row by itself: rows may run in parallel, each
    /// worker with its own scratch.</summary>
    /// <param name="spec">A valid specification.</param>
    /// <param name="input">Logits and vectors.</param>
    /// <param name="firstRow">First token to choose for.</param>
    /// <param name="rows">Number of tokens.</param>
    /// <param name="topkIds">[T, k], all tokens.</param>
    /// <param name="topkWeights">[T, k], all tokens; bare scores where survivors are still to be normalised.</param>
    /// <param name="rowScratch">At least <see cref="RowScratchFloats"/>.</param>
    public static void SelectRows(
        RouterSpec spec,
        in RouterInput input,
        int firstRow,
        int rows,
        int* topkIds,
        float* topkWeights,
        float* rowScratch)
    {
        for (int t = firstRow; t < firstRow + rows; t++)
        {
            int* ids = topkIds + ((long)t * spec.TopK);
            float* weights = topkWeights + ((long)t * spec.TopK);
            if (spec.SkipPadding && !input.Mask.IsEmpty && input.Mask[t] == 0)
            {
                new Span<int>(ids, spec.TopK).Fill(-1);
                new Span<float>(weights, spec.TopK).Clear();
                continue;
            }

            float* scores = rowScratch;
            RouterScores.Compute(spec, input.Logits + ((long)t * spec.Experts), scores, t, input.Step);
            ExpertChoice.Choose(spec, scores, input.ChoiceBias, ids, weights, rowScratch + spec.Experts);
            for (int j = 0; j < spec.TopK; j++)
                weights[j] = scores[ids[j]];
            if (!NormalizesSurvivors(spec))
                RoutingWeights.Weigh(spec, input.ExpertScale, ids, weights);
        }
    }

    /// <summary>The second half of <see cref="Select"/>: drops choices that exceed an expert's capacity.</summary>
    /// <param name="spec">A valid specification.</param>
    /// <param name="input">Logits and vectors.</param>
    /// <param name="topkIds">[T, k] from <see cref="SelectRows"/>.</param>
    /// <param name="topkWeights">[T, k] from <see cref="SelectRows"/>.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/>.</param>
    public static void LimitRows(
        RouterSpec spec, in RouterInput input, int* topkIds, float* topkWeights, float* scratch)
    {
        if (!spec.CanDrop)
            return;

        CapacityLimiter.Apply(spec, input, topkIds, scratch);
        for (int t = 0; NormalizesSurvivors(spec) && t < input.Tokens; t++)
        {
            long first = (long)t * spec.TopK;
            RoutingWeights.WeighSurvivors(spec, input.ExpertScale, topkIds + first, topkWeights + first);
        }
    }

    private static bool NormalizesSurvivors(RouterSpec spec) => spec.CanDrop && spec.Capacity.NormalizeSurvivors;
}
