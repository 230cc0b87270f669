using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MoeKernels.Permute;

/// <summary>Where every routed choice goes: slots in expert order, tokens in their own order inside an expert. Reused from
/// call to call; allocates only when it meets more tokens or experts than ever before.</summary>
internal sealed unsafe class DispatchPlan : IDisposable
{
    /// <summary>Slot of a choice that found no place.</summary>
    public const int Dropped = -1;

    private int* _memory;
    private long _capacity;

    /// <summary>Tokens of the plan.</summary>
    public int Tokens { get; private set; }

    /// <summary>Choices of a token.</summary>
    public int TopK { get; private set; }

    /// <summary>Experts of the layer.</summary>
    public int Experts { get; private set; }

    /// <summary>N, the choices that found a place; at most tokens · k.</summary>
    public int Slots { get; private set; }

    /// <summary>Slots of each expert, [E].</summary>
    public int* ExpertCounts { get; private set; }

    /// <summary>First slot of each expert and, at the end, N: [E + 1].</summary>
    public int* ExpertOffsets { get; private set; }

    /// <summary>Token that a slot was filled from, [N].</summary>
    public int* TokenOfSlot { get; private set; }

    /// <summary>Choice j of token t that a slot was filled from, as <c>t k + j</c>, [N].</summary>
    public int* ChoiceOfSlot { get; private set; }

    /// <summary>Slot of every choice, or <see cref="Dropped"/>, [T, k].</summary>
    public int* SlotOf { get; private set; }

    /// <summary>Integers that a plan of this size keeps.</summary>
    public static long Size(int tokens, int topK, int experts) => (3L * tokens * topK) + (2L * experts) + 1;

    /// <summary>Allocates for the largest plan to come, so that <see cref="Build"/> never does.</summary>
    public void Reserve(int tokens, int topK, int experts)
    {
        long size = Size(tokens, topK, experts);
        if (size <= _capacity)
            return;

        NativeMemory.Free(_memory);
        _memory = null;
        _capacity = 0;
        try
        {
            _memory = (int*)NativeMemory.Alloc((nuint)size, sizeof(int));
        }
        catch (OutOfMemoryException error)
        {
            throw new MoeOutOfMemoryException("a dispatch plan", size * sizeof(int), error);
        }

        _capacity = size;
    }

    /// <summary>Sorts the choices by expert, stably.</summary>
    /// <param name="topkIds">[tokens, k]; a negative id is a dropped choice.</param>
    /// <param name="tokens">T.</param>
    /// <param name="topK">k.</param>
    /// <param name="experts">E; every id is below it.</param>
    public void Build(int* topkIds, int tokens, int topK, int experts)
    {
        Reserve(tokens, topK, experts);
        int choices = checked(tokens * topK);
        (Tokens, TopK, Experts) = (tokens, topK, experts);
        ExpertCounts = _memory;
        ExpertOffsets = ExpertCounts + experts;
        TokenOfSlot = ExpertOffsets + experts + 1;
        ChoiceOfSlot = TokenOfSlot + choices;
        SlotOf = ChoiceOfSlot + choices;
        Count(topkIds, choices);
        Place(topkIds, choices);
    }

    /// <summary>Frees the buffers.</summary>
    public void Dispose()
    {
        NativeMemory.Free(_memory);
        _memory = null;
        _capacity = 0;
    }

    private void Count(int* topkIds, int choices)
    {
        new Span<int>(ExpertCounts, Experts).Clear();
        for (int i = 0; i < choices; i++)
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
        Slots = offset;
    }

    private void Place(int* topkIds, int choices)
    {
        // The offsets walk through their expert's slots and are set back afterwards: no second array of cursors.
        for (int i = 0; i < choices; i++)
        {
            int expert = topkIds[i];
            if (expert < 0)
            {
                SlotOf[i] = Dropped;
                continue;
            }

            int slot = ExpertOffsets[expert]++;
            SlotOf[i] = slot;
            TokenOfSlot[slot] = i / TopK;
            ChoiceOfSlot[slot] = i;
        }

        for (int e = 0; e < Experts; e++)
            ExpertOffsets[e] -= ExpertCounts[e];
    }
}
