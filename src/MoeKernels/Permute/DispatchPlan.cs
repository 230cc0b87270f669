using System.Diagnostics;

namespace MoeKernels.Permute;

/// <summary>Where every routed choice goes: slots in expert order, tokens in their own order inside an expert. A view
/// of memory that the caller provides; it owns nothing and allocates nothing.</summary>
internal readonly unsafe struct DispatchPlan
{
    /// <summary>Slot of a choice that found no place.</summary>
    public const int Dropped = -1;

    private DispatchPlan(int* memory, int tokens, int topK, int experts)
    {
        int choices = checked(tokens * topK);
        (Tokens, TopK, Experts) = (tokens, topK, experts);
        ExpertCounts = memory;
        ExpertOffsets = ExpertCounts + experts;
        ChoiceOfSlot = ExpertOffsets + experts + 1;
        TokenOfSlot = ChoiceOfSlot + choices;
        SlotOf = TokenOfSlot + choices;
    }

    /// <summary>T, the tokens of the call.</summary>
    public int Tokens { get; }

    /// <summary>k, the choices of a token.</summary>
    public int TopK { get; }

    /// <summary>E, the experts of the layer.</summary>
    public int Experts { get; }

    /// <summary>Slots of each expert, [E].</summary>
    public int* ExpertCounts { get; }

    /// <summary>First slot of each expert and, at the end, N: [E + 1].</summary>
    public int* ExpertOffsets { get; }

    /// <summary>The choice that fills a slot, as <c>t k + j</c>, [N].</summary>
    public int* ChoiceOfSlot { get; }

    /// <summary>The token that fills a slot, [N].</summary>
    public int* TokenOfSlot { get; }

    /// <summary>Slot of every choice, or <see cref="Dropped"/>, [T, k].</summary>
    public int* SlotOf { get; }

    /// <summary>N, the choices that found a place; at most T k.</summary>
    public int Slots => ExpertOffsets[Experts];

    /// <summary>Integers that a plan of this size keeps.</summary>
    public static long Size(int tokens, int topK, int experts) => (3L * tokens * topK) + (2L * experts) + 1;

    /// <summary>Sorts the choices by expert, stably.</summary>
    /// <param name="memory">At least <see cref="Size"/> integers that live as long as the plan.</param>
    /// <param name="topkIds">[T, k]; a negative id is a dropped choice, every other one is below E.</param>
    /// <param name="tokens">T.</param>
    /// <param name="topK">k.</param>
    /// <param name="experts">E.</param>
    public static DispatchPlan Build(int* memory, int* topkIds, int tokens, int topK, int experts)
    {
        var plan = new DispatchPlan(memory, tokens, topK, experts);
        plan.Count(topkIds);
        plan.Place(topkIds);
        return plan;
    }

    private void Count(int* topkIds)
    {
        new Span<int>(ExpertCounts, Experts).Clear();
        for (int i = 0; i < Tokens * TopK; i++)
        {
            Debug.Assert(topkIds[i] < Experts);
            if (topkIds[i] >= 0)
                ExpertCounts[topkIds[i]]++;
        }

        int offset = 0;
        for (int e = 0; e < Experts; e++)
        {
            ExpertOffsets[e] = offset;
            offset += ExpertCounts[e];
        }

        ExpertOffsets[Experts] = offset;
    }

    private void Place(int* topkIds)
    {
        // The offsets walk through their expert's slots and are set back afterwards: no second array of cursors.
        for (int i = 0; i < Tokens * TopK; i++)
        {
            int expert = topkIds[i];
            int slot = expert < 0 ? Dropped : ExpertOffsets[expert]++;
            SlotOf[i] = slot;
            if (slot == Dropped)
                continue;

            ChoiceOfSlot[slot] = i;
            TokenOfSlot[slot] = i / TopK;
        }

        for (int e = 0; e < Experts; e++)
            ExpertOffsets[e] -= ExpertCounts[e];
    }
}
