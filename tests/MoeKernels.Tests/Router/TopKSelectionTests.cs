using CsCheck;
using MoeKernels.Router;

namespace MoeKernels.Tests.Router;

public class TopKSelectionTests
{
    [Fact]
    public void Select_EqualScores_PrefersSmallerIds()
    {
        var run = RouterRun.Select(RouterSpec.Mixtral(6, 3), [1, 2, 2, 0, 2, 2]);
        Assert.Equal([1, 2, 4], run.Ids);
    }

    [Fact]
    public void Select_EqualGroups_PrefersSmallerGroups()
    {
        var spec = RouterSpec.DeepSeekV3(8, 2, groups: 4, keptGroups: 2);
        var run = RouterRun.Select(spec, [0, 1, 1, 0, 0, 1, 1, 0], choiceBias: new float[8]);
        Assert.Equal([1, 2], run.Ids);
    }

    [Fact]
    public void Select_GroupsByMaxAndByTopTwoSum_KeepDifferentGroups()
    {
        float[] logits = [3, -3, 2, 2];
        var byMax = RouterSpec.DeepSeekV2(4, 1, groups: 2, keptGroups: 1, scale: 1);
        var bySum = byMax with { Grouping = GroupRule.KeepByTopTwoSum };
        Assert.Equal([0], RouterRun.Select(byMax, logits).Ids);
        Assert.Equal([2], RouterRun.Select(bySum with { Score = RouterScore.Sigmoid }, logits).Ids);
    }

    [Fact]
    public void Select_NegativeBiasedScores_StaysInKeptGroupsUnlessMaskedWithZero()
    {
        // All biased scores are negative, so a mask value of 0 makes the masked experts the best ones.
        var spec = RouterSpec.DeepSeekV3(4, 2, groups: 2, keptGroups: 1);
        float[] bias = [-2, -2, -3, -3];
        float[] logits = [0, 0, 0, 0];
        Assert.Equal([0, 1], RouterRun.Select(spec, logits, bias).Ids);
        Assert.Equal([2, 3], RouterRun.Select(spec with { MaskedChoice = 0f }, logits, bias).Ids);
    }

    [Fact]
    public void Select_ChoiceBias_ChoosesButDoesNotWeigh()
    {
        var run = RouterRun.Select(RouterSpec.MiniMaxM2(3, 2), [0, 1, 2], choiceBias: [5, 0, 0]);
        Assert.Equal([0, 2], run.Ids);
        float first = Sigmoid(0);
        float second = Sigmoid(2);
        AssertClose([first / (first + second), second / (first + second)], run.Weights);
    }

    [Fact]
    public void Select_GptOss_SoftmaxIsOverTheChosenLogitsOnly()
    {
        var run = RouterRun.Select(RouterSpec.GptOss(4, 2), [1, 3, 2, 2.5f]);
        Assert.Equal([1, 3], run.Ids);
        AssertClose([1 / (1 + MathF.Exp(-0.5f)), 1 - (1 / (1 + MathF.Exp(-0.5f)))], run.Weights);
    }

    [Fact]
    public void Select_Llama4_WeighsBySigmoidOfTheChosenLogit()
    {
        var run = RouterRun.Select(RouterSpec.Llama4(4), [-1, -3, -2, -2.5f]);
        Assert.Equal([0], run.Ids);
        AssertClose([Sigmoid(-1)], run.Weights);
    }

    [Fact]
    public void Select_Pangu_TakesTheSameFromEveryGroupWithoutRenormalising()
    {
        var spec = RouterSpec.PanguProMoe(6, 2, groups: 2);
        float[] logits = [0, 1, 0, 5, 9, 5];
        float[] scale = [1, 2, 1, 1, 3, 1];
        var run = RouterRun.Select(spec, logits, expertScale: scale);
        double sum = logits.Sum(logit => Math.Exp(logit));
        Assert.Equal([1, 4], run.Ids);
        AssertClose([(float)(2 * Math.Exp(1) / sum), (float)(3 * Math.Exp(9) / sum)], run.Weights);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Select_LogitNotFinite_NamesStepExpertAndRow(float bad)
    {
        var error = Assert.Throws<MoeNonFiniteException>(
            () => RouterRun.Select(RouterSpec.Mixtral(4, 2), [1, 2, 3, 4, 1, 2, bad, 4], step: "layers.3.gate"));
        Assert.Equal("layers.3.gate", error.Step);
        Assert.Contains("expert 2 for row 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Select_ExtremeLogits_StaysFinite()
    {
        foreach (var spec in new[] { RouterSpec.Mixtral(4, 2), RouterSpec.GptOss(4, 2), RouterSpec.MiniMaxM2(4, 2) })
        {
            var run = RouterRun.Select(spec, [float.MaxValue, -float.MaxValue, 0, -1], new float[4]);
            Assert.All(run.Weights, weight => Assert.True(float.IsFinite(weight)));
        }
    }

    [Fact]
    public void Select_RandomLogits_IsTheSortedDefinition() =>
        Gen.Select(Gen.Int[1, 40], Gen.Int[1, 40], Gen.Int[1, 5], Gen.Int[0, 1 << 30]).Sample((e, k, tokens, seed) =>
        {
            var spec = RouterSpec.Qwen3Moe(e, Math.Min(e, k), normTopkProb: false);
            float[] logits = Logits(seed, tokens * e);
            var run = RouterRun.Select(spec, logits);
            for (int t = 0; t < tokens; t++)
            {
                float[] row = logits[(t * e)..((t + 1) * e)];
                var ranked = Enumerable.Range(0, e).OrderByDescending(i => row[i]).ThenBy(i => i);
                int[] expected = [.. ranked.Take(spec.TopK)];
                Assert.Equal(expected, run.IdsOf(t));
                double sum = row.Sum(logit => Math.Exp(logit));
                AssertClose([.. expected.Select(i => (float)(Math.Exp(row[i]) / sum))], run.WeightsOf(t));
            }
        });

    [Fact]
    public void Select_RowAlone_HasTheBitsItHasInABatch() =>
        Gen.Select(Gen.Int[0, Specs.Length - 1], Gen.Int[1, 9], Gen.Int[0, 1 << 30]).Sample((preset, tokens, seed) =>
        {
            var spec = Specs[preset];
            float[] logits = Logits(seed, tokens * spec.Experts);
            float[]? bias = spec.HasChoiceBias ? Logits(seed + 1, spec.Experts) : null;
            var batch = RouterRun.Select(spec, logits, bias);
            for (int t = 0; t < tokens; t++)
            {
                var alone = RouterRun.Select(spec, logits[(t * spec.Experts)..((t + 1) * spec.Experts)], bias);
                Assert.Equal(batch.IdsOf(t), alone.Ids);
                Assert.Equal(batch.WeightsOf(t), alone.Weights);
            }
        });

    [Fact]
    public void Select_AnySpec_ChoosesDifferentExpertsInsideTheRules() =>
        Gen.Select(Gen.Int[0, Specs.Length - 1], Gen.Int[1, 9], Gen.Int[0, 1 << 30]).Sample((preset, tokens, seed) =>
        {
            var spec = Specs[preset];
            float[]? bias = spec.HasChoiceBias ? Logits(seed + 1, spec.Experts) : null;
            var run = RouterRun.Select(spec, Logits(seed, tokens * spec.Experts), bias);
            for (int t = 0; t < tokens; t++)
            {
                int[] ids = run.IdsOf(t);
                Assert.Equal(ids.Length, ids.Distinct().Count());
                Assert.All(ids, id => Assert.InRange(id, 0, spec.Experts - 1));
                int groups = ids.Select(id => id / spec.GroupSize).Distinct().Count();
                if (spec.Grouping is GroupRule.KeepByMax or GroupRule.KeepByTopTwoSum)
                    Assert.InRange(groups, 1, spec.KeptGroups);
                if (spec.Grouping == GroupRule.SamePerGroup)
                {
                    int each = spec.TopK / spec.Groups;
                    Assert.All(ids.CountBy(id => id / spec.GroupSize), group => Assert.Equal(each, group.Value));
                }

                if (spec.Normalize != NormRule.None && spec.Normalize != NormRule.SigmoidOfChosen)
                    Assert.InRange(run.WeightsOf(t).Sum() / spec.Scale, 0.9999f, 1.0001f);
            }
        });

    private static RouterSpec[] Specs =>
    [
        RouterSpec.Mixtral(),
        RouterSpec.Qwen2Moe(),
        RouterSpec.Olmoe(),
        RouterSpec.DeepSeekV2(),
        RouterSpec.DeepSeekV3(32, 8),
        RouterSpec.Glm4Moe(),
        RouterSpec.MiniMaxM2(),
        RouterSpec.GptOss(),
        RouterSpec.Llama4(16, 3),
        RouterSpec.PanguProMoe(),
        RouterSpec.PanguProMoe(16, 8, 4),
        RouterSpec.Tutel(8, 3, capacityFactor: 0),
    ];

    private static float[] Logits(int seed, int count)
    {
        // Eighths make ties common.
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(-40, 41) / 8f)];
    }

    private static float Sigmoid(float x) => (float)(1 / (1 + Math.Exp(-x)));

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.InRange(actual[i], expected[i] - 1e-6f, expected[i] + 1e-6f);
    }
}
