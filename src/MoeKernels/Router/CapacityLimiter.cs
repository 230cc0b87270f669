namespace MoeKernels.Router;

/// <summary>Drops the choices that find their expert full: all first choices look for places before any second choice,
/// tokens by index, or by falling best score when prioritised.</summary>
internal static unsafe class CapacityLimiter
{
    /// <summary>Floats of scratch memory: token order as 64-bit keys, then places taken per expert.</summary>
    public static long ScratchFloats(RouterSpec spec, int tokens)
    {
        if (!spec.CanDrop)
            return 0;

        long order = spec.Capacity.Prioritized ? 2L * tokens : 0;
        return order + spec.Experts + (spec.Experts & 1);
    }

    /// <summary>Choices that an expert accepts among <paramref name="tokens"/> tokens; more are dropped.</summary>
    /// <remarks>Tutel's negative factor means "what is needed, at most this": as a bound that is the positive factor's,
    /// and what is needed must be counted from the choices, not from the last token's
    /// place, which under prioritised routing is not the greatest.</remarks>
    public static int Capacity(RouterSpec spec, int tokens)
    {
        var rule = spec.Capacity;
        long tokensPerExpert = ((long)tokens + spec.Experts - 1) / spec.Experts;
        return rule.Kind switch
        {
            CapacityKind.PerSequence => rule.Tokens,
            CapacityKind.TokenFraction when rule.Factor > 0 => Saturate(Math.Ceiling(rule.Factor * tokens)),
            CapacityKind.TokenFraction => rule.Tokens > 0 ? rule.Tokens : Saturate(2 * tokensPerExpert),
            CapacityKind.Factor when rule.Factor != 0 => RoundUp(FactorCapacity(spec, tokensPerExpert), rule.Alignment),
            _ => int.MaxValue,
        };
    }

    /// <summary>Sets the ids of dropped choices to -1.</summary>
    /// <param name="spec">A specification that can drop.</param>
    /// <param name="input">Sequences, and the logits that prioritised routing orders tokens by.</param>
    /// <param name="topkIds">[T, k]; choices that are -1 already take no place.</param>
    /// <param name="scratch">At least <see cref="ScratchFloats"/>, 8-byte aligned.</param>
    public static void Apply(RouterSpec spec, in RouterInput input, int* topkIds, float* scratch)
    {
        bool prioritized = spec.Capacity.Prioritized;
        ulong* order = prioritized ? (ulong*)scratch : null;
        int* taken = (int*)(scratch + (prioritized ? 2L * input.Tokens : 0));
        bool perSequence = spec.Capacity.Kind == CapacityKind.PerSequence && input.SequenceStarts != null;
        int segments = perSequence ? input.Sequences : 1;
        for (int s = 0; s < segments; s++)
        {
            int first = perSequence ? input.SequenceStarts[s] : 0;
            int end = s + 1 < segments ? input.SequenceStarts[s + 1] : input.Tokens;
            if (prioritized)
                SortByImportance(spec, input, first, end, order);
            new Span<int>(taken, spec.Experts).Clear();
            TakePlaces(spec, topkIds, first, end, order, taken, Capacity(spec, end - first));
        }
    }

    private static void TakePlaces(
        RouterSpec spec, int* topkIds, int first, int end, ulong* order, int* taken, int capacity)
    {
        for (int j = 0; j < spec.TopK; j++)
        {
            for (int i = first; i < end; i++)
            {
                int token = order == null ? i : (int)(uint)order[i - first];
                int* id = topkIds + ((long)token * spec.TopK) + j;
                if (*id >= 0 && taken[*id]++ >= capacity)
                    *id = -1;
            }
        }
    }

    /// <summary>Fills <paramref name="order"/> with tokens in their low halves, best score first, then by
    /// index.</summary>
    private static void SortByImportance(RouterSpec spec, in RouterInput input, int first, int end, ulong* order)
    {
        for (int t = first; t < end; t++)
        {
            bool skipped = spec.SkipPadding && input.IsPadding(t);
            float best = skipped ? 0f : RouterScores.Best(spec, input.Logits + ((long)t * spec.Experts));

            // Flipping negative floats wholly and positive ones in the sign orders them like integers; ~ turns that
            // round.
            uint bits = BitConverter.SingleToUInt32Bits(best);
            bits = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
            order[t - first] = ((ulong)~bits << 32) | (uint)t;
        }

        new Span<ulong>(order, end - first).Sort();
    }

    private static int FactorCapacity(RouterSpec spec, long tokensPerExpert)
    {
        // The integer part is taken before the product with k: Tutel's code, where its paper has k f T / E.
        double perChoice = Math.Truncate(Math.Abs(spec.Capacity.Factor) * tokensPerExpert);
        return Saturate(spec.TopK * perChoice);
    }

    private static int RoundUp(int value, int multiple) =>
        Saturate(((long)value + multiple - 1) / multiple * multiple);

    private static int Saturate(double value) => value >= int.MaxValue ? int.MaxValue : (int)value;
}
