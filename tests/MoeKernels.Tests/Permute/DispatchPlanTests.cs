using CsCheck;
using MoeKernels.Permute;

namespace MoeKernels.Tests.Permute;

public unsafe class DispatchPlanTests
{
    [Fact]
    public void Build_SmallCase_IsAsByHand()
    {
        int[] ids = [1, 0, -1, 1, 2, 1];
        WithPlan(ids, 2, 4, plan =>
        {
            Assert.Equal([1, 3, 1, 0], Span(plan.ExpertCounts, 4));
            Assert.Equal([0, 1, 4, 5, 5], Span(plan.ExpertOffsets, 5));
            Assert.Equal([0, 0, 1, 2, 2], Span(plan.TokenOfSlot, 5));
            Assert.Equal([1, 0, 3, 5, 4], Span(plan.ChoiceOfSlot, 5));
            Assert.Equal([1, 0, DispatchPlan.Dropped, 2, 4, 3], Span(plan.SlotOf, 6));
            Assert.Equal(5, plan.Slots);
        });
    }

    [Fact]
    public void Build_NoTokens_HasNoSlots() => WithPlan([], 2, 3, plan => Assert.Equal(0, plan.Slots));

    [Fact]
    public void Build_AnyRouting_IsAStablePermutationOfWhatWasNotDropped() =>
        Gen.Select(Gen.Int[0, 60], Gen.Int[1, 5], Gen.Int[1, 20], Gen.Int[0, 1 << 30])
        .Sample((tokens, k, experts, seed) =>
        {
            int[] ids = RandomIds(seed, tokens * k, experts);
            WithPlan(ids, k, experts, plan =>
            {
                int[] kept = [.. Enumerable.Range(0, ids.Length).Where(choice => ids[choice] >= 0)];
                Assert.Equal(kept.OrderBy(choice => ids[choice]), Span(plan.ChoiceOfSlot, plan.Slots));
                Assert.Equal(kept.OrderBy(choice => ids[choice]).Select(choice => choice / k),
                    Span(plan.TokenOfSlot, plan.Slots));
                foreach (int choice in kept)
                {
                    int slot = plan.SlotOf[choice];
                    Assert.Equal(choice, plan.ChoiceOfSlot[slot]);
                    Assert.InRange(slot, plan.ExpertOffsets[ids[choice]], plan.ExpertOffsets[ids[choice] + 1] - 1);
                }

                Assert.Equal(kept.Length, Span(plan.ExpertCounts, experts).Sum());
                Assert.Equal(ids.Length - kept.Length, Span(plan.SlotOf, ids.Length).Count(slot => slot < 0));
            });
        });

    /// <summary>Builds a plan in poisoned memory with a guard behind it.</summary>
    internal static void WithPlan(int[] ids, int topK, int experts, Action<DispatchPlan> check)
    {
        int tokens = ids.Length / topK;
        int[] memory = new int[DispatchPlan.Size(tokens, topK, experts) + 1];
        Array.Fill(memory, int.MinValue);
        fixed (int* buffer = memory, chosen = ids)
            check(DispatchPlan.Build(buffer, chosen, tokens, topK, experts));
        Assert.Equal(int.MinValue, memory[^1]);
    }

    internal static int[] RandomIds(int seed, int count, int experts)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(-1, experts))];
    }

    private static int[] Span(int* values, int count) => new ReadOnlySpan<int>(values, count).ToArray();
}
