using CsCheck;
using MoeKernels.Router;

namespace MoeKernels.Tests.Router;

public class CapacityTests
{
    [Fact]
    public void Switch_FullExpert_DropsLaterTokensOfTheSameSequenceOnly()
    {
        var spec = RouterSpec.Switch(2, capacity: 2);
        float[] logits = [1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0];
        var run = RouterRun.Select(spec, logits, starts: [0, 4]);
        Assert.Equal([0, 0, -1, 1, 0, 0], run.Ids);
    }

    [Fact]
    public void Switch_DroppedToken_KeepsItsProbabilityForTheScaledInput()
    {
        var run = RouterRun.Select(RouterSpec.Switch(2, 1, DropRule.ScaledInput), [1, 0, 1, 0]);
        Assert.Equal([0, -1], run.Ids);
        Assert.Equal(run.Weights[0], run.Weights[1]);
    }

    [Fact]
    public void Switch_CapacityOfZero_DropsNothing()
    {
        var run = RouterRun.Select(RouterSpec.Switch(2, capacity: 0), [1, 0, 1, 0, 1, 0]);
        Assert.Equal([0, 0, 0], run.Ids);
    }

    [Fact]
    public void Switch_Padding_TakesPlaces()
    {
        var run = RouterRun.Select(RouterSpec.Switch(2, capacity: 1), [1, 0, 1, 0], mask: [0, 1]);
        Assert.Equal([0, -1], run.Ids);
    }

    [Fact]
    public void Nllb_Padding_IsNotRoutedAndTakesNoPlace()
    {
        // ceil(0.5 * 2) = 1 place each.
        var run = RouterRun.Select(RouterSpec.NllbMoe(2, tokenFraction: 0.5), [1, 0, 1, 0], mask: [0, 1]);
        Assert.Equal([-1, -1, 0, 1], run.Ids);
        Assert.Equal([0, 0], run.WeightsOf(0));
        Assert.Equal(1f, run.WeightsOf(1).Sum(), 1e-6f);
    }

    [Fact]
    public void Nllb_LoneSurvivor_WeighsOneUnlessNormalisedBefore()
    {
        // ceil(0.3 * 3) = 1 place. Token 0 and 1 have swapped choices, so both second choices find full experts.
        float[] logits = [2, 1, 0, 1, 2, 0, 0, 1, 2];
        var after = RouterRun.Select(RouterSpec.NllbMoe(3, tokenFraction: 0.3), logits);
        Assert.Equal([0, -1, 1, -1, 2, -1], after.Ids);
        Assert.Equal([1f, 0, 1f, 0, 1f, 0], after.Weights);
        var before = RouterRun.Select(RouterSpec.NllbMoe(3, 0.3, normalizeBeforeDropping: true), logits);
        Assert.Equal(after.Ids, before.Ids);
        Assert.InRange(before.Weights[0], 0.73f, 0.74f);
    }

    [Fact]
    public void Nllb_FirstChoices_ComeBeforeSecondChoices()
    {
        // ceil(0.4 * 3) = 2 places; token 0's second choice is expert 1, which tokens 1 and 2 choose first.
        float[] logits = [2, 1, 0, 0, 2, 1, 1, 2, 0];
        var run = RouterRun.Select(RouterSpec.NllbMoe(3, tokenFraction: 0.4), logits);
        Assert.Equal([0, -1, 1, 2, 1, 0], run.Ids);
    }

    [Theory]
    [InlineData(1.0, 0, 7, 7)]
    [InlineData(0.5, 64, 7, 4)]
    [InlineData(0.0, 64, 7, 64)]
    [InlineData(-1.0, 0, 7, 4)]
    public void Nllb_Capacity_FollowsFractionThenConfigThenTokens(
        double fraction, int capacity, int tokens, int expected) =>
        Assert.Equal(expected, CapacityLimiter.Capacity(RouterSpec.NllbMoe(4, fraction, capacity), tokens));

    [Theory]
    [InlineData(2, 1.0, 1, 10, 6)]
    [InlineData(2, 1.25, 1, 10, 6)]
    [InlineData(2, 1.5, 1, 10, 8)]
    [InlineData(1, 0.5, 4, 10, 4)]
    [InlineData(2, -1.0, 1, 10, 6)]
    [InlineData(2, 0.0, 1, 10, int.MaxValue)]
    public void Tutel_Capacity_FloorsBeforeTheProductWithK(
        int topK, double factor, int alignment, int tokens, int expected)
    {
        var spec = RouterSpec.Tutel(4, topK, factor, alignment: alignment);
        Assert.Equal(expected, CapacityLimiter.Capacity(spec, tokens));
    }

    [Fact]
    public void Tutel_DroppedChoice_DoesNotRaiseTheOthers()
    {
        // One place each: k * int(f * ceil(T / E)) = 2 * int(0.5 * 2) = 2, so three tokens do not fit in expert 0.
        var spec = RouterSpec.Tutel(2, 2, capacityFactor: 0.5);
        var run = RouterRun.Select(spec, [1, 0, 1, 0, 1, 0]);
        Assert.Equal([0, 1, 0, 1, -1, -1], run.Ids);
        Assert.Equal(run.Weights[0], run.Weights[4]);
    }

    [Fact]
    public void Tutel_Prioritized_ServesTheMostCertainTokensFirst()
    {
        var spec = RouterSpec.Tutel(2, 1, capacityFactor: 0.5, prioritized: true);
        var run = RouterRun.Select(spec, [1, 0, 3, 0, 2, 0, 3, 0]);
        Assert.Equal([-1, 0, -1, -1], run.Ids);
    }

    [Fact]
    public void Tutel_PrioritizedWithoutBound_DropsNothing()
    {
        // Counting what is needed from the last token's place, as Tutel does, drops choices here.
        var random = new Random(5);
        float[] logits = [.. Enumerable.Range(0, 256 * 8).Select(_ => random.NextSingle() * 4)];
        foreach (double factor in new[] { 0.0, -8.0 })
        {
            var run = RouterRun.Select(RouterSpec.Tutel(8, 2, factor, prioritized: true), logits);
            Assert.DoesNotContain(-1, run.Ids);
        }
    }

    [Fact]
    public void Capacity_AnyRule_KeepsExactlyTheFirstChoicesInOrder() =>
        Gen.Select(Gen.Int[1, 6], Gen.Int[1, 3], Gen.Double[0.1, 1.5], Gen.Bool, Gen.Int[1, 40], Gen.Int[0, 1 << 30])
            .Sample((experts, topK, factor, prioritized, tokens, seed) =>
            {
                var spec = RouterSpec.Tutel(experts, topK, factor, prioritized);
                var random = new Random(seed);
                float[] logits = [.. Enumerable.Range(0, tokens * experts).Select(_ => random.Next(-9, 10) / 4f)];
                var free = RouterRun.Select(RouterSpec.Tutel(experts, topK, capacityFactor: 0), logits);
                var run = RouterRun.Select(spec, logits);
                Assert.Equal(Limited(spec, free.Ids, logits), run.Ids);
            });

    /// <summary>The definition: walk the choices in order, keep those that find their expert below capacity.</summary>
    private static int[] Limited(RouterSpec spec, int[] ids, float[] logits)
    {
        int tokens = ids.Length / spec.TopK;
        int capacity = CapacityLimiter.Capacity(spec, tokens);
        var order = Enumerable.Range(0, tokens);
        if (spec.Capacity.Prioritized)
            order = order.OrderByDescending(t => Best(logits[(t * spec.Experts)..((t + 1) * spec.Experts)]));
        int[] tokenOrder = [.. order];
        int[] taken = new int[spec.Experts];
        int[] limited = [.. ids];
        for (int j = 0; j < spec.TopK; j++)
        {
            foreach (int t in tokenOrder)
            {
                ref int id = ref limited[(t * spec.TopK) + j];
                id = taken[id]++ < capacity ? id : -1;
            }
        }

        return limited;
    }

    private static unsafe float Best(float[] logits)
    {
        fixed (float* row = logits)
            return RouterScores.Best(RouterSpec.Tutel(logits.Length, 1), row);
    }
}
