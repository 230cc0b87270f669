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
    /// <param name="topkIds">Receives [T, k] expert ids; -1 where the choice was dropped or the token is
    /// padding.</param>
    /// <param name="topkWeights">Receives [T, k] routing weights, without <see cref="RouterSpec.OutputFactor"/>.
    /// A dropped choice keeps the weight it had, or gets 0 where survivors are normalised; a padding token has
    /// zeros.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/>.</param>
    /// <param name="step">Name of the router in errors.</param>
    /// <exception cref="MoeNonFiniteException">A logit is NaN or infinite.</exception>
    public static void Select(
        RouterSpec spec, in RouterInput input, int* topkIds, float* topkWeights, float* scratch, string? step = null)
    {
        RouterScores.Check(spec, input, step);
        float* rowScratch = scratch + CapacityLimiter.ScratchFloats(spec, input.Tokens);
        SelectRows(new RowRules(spec), input, 0, input.Tokens, topkIds, topkWeights, rowScratch);
        LimitRows(spec, input, topkIds, topkWeights, scratch);
    }

    /// <summary>Floats of scratch memory that a row needs: scores, choice values, group values and kept
    /// groups.</summary>
    public static long RowScratchFloats(RouterSpec spec) => (2L * spec.Experts) + (3L * spec.Groups);

    /// <summary>The first half of <see cref="Select"/>, which looks at each row by itself: rows may run in parallel,
    /// each worker with its own scratch. The logits are finite.</summary>
    /// <param name="rules">The router.</param>
    /// <param name="input">Logits and vectors.</param>
    /// <param name="firstRow">First token to choose for.</param>
    /// <param name="rows">Number of tokens.</param>
    /// <param name="topkIds">[T, k], all tokens.</param>
    /// <param name="topkWeights">[T, k], all tokens; bare scores where survivors are still to be normalised.</param>
    /// <param name="rowScratch">At least <see cref="RowScratchFloats"/>.</param>
    public static void SelectRows(
        in RowRules rules,
        in RouterInput input,
        int firstRow,
        int rows,
        int* topkIds,
        float* topkWeights,
        float* rowScratch)
    {
        for (int t = firstRow; t < firstRow + rows; t++)
        {
            int* ids = topkIds + ((long)t * rules.TopK);
            float* weights = topkWeights + ((long)t * rules.TopK);
            if (rules.SkipsPadding && input.IsPadding(t))
            {
                new Span<int>(ids, rules.TopK).Fill(-1);
                new Span<float>(weights, rules.TopK).Clear();
                continue;
            }

            float* scores = rowScratch;
            RouterScores.Compute(rules, input.Logits + ((long)t * rules.Experts), scores);
            ExpertChoice.Choose(rules, scores, input.ChoiceBias, ids, weights, rowScratch + rules.Experts);
            for (int j = 0; j < rules.TopK; j++)
                weights[j] = scores[ids[j]];
            if (!rules.WeighsSurvivors)
                RoutingWeights.Weigh(rules, input.ExpertScale, ids, weights);
        }
    }

    /// <summary>The second half of <see cref="Select"/>: drops choices that exceed an expert's capacity.</summary>
    /// <param name="spec">A valid specification.</param>
    /// <param name="input">Logits and vectors.</param>
    /// <param name="topkIds">[T, k] from <see cref="SelectRows"/>.</param>
    /// <param name="topkWeights">[T, k] from <see cref="SelectRows"/>.</param>
    /// <param name="scratch">At least <see cref="CapacityLimiter.ScratchFloats"/>, 8-byte aligned.</param>
    public static void LimitRows(
        RouterSpec spec, in RouterInput input, int* topkIds, float* topkWeights, float* scratch)
    {
        if (!spec.CanDrop)
            return;

        CapacityLimiter.Apply(spec, input, topkIds, scratch);
        var rules = new RowRules(spec);
        for (int t = 0; rules.WeighsSurvivors && t < input.Tokens; t++)
        {
            long first = (long)t * spec.TopK;
            RoutingWeights.WeighSurvivors(rules, input.ExpertScale, topkIds + first, topkWeights + first);
        }
    }
}
