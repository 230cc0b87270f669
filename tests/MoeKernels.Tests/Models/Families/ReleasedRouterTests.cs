using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Tests.Models.Families;

/// <summary>Released configs give the routers and experts of their models.</summary>
public sealed class ReleasedRouterTests
{
    private static readonly Dictionary<string, RouterSpec> Routers = new()
    {
        ["mixtral-8x7b"] = new(8, 2) { Normalize = NormRule.Sum },
        ["mixtral-8x22b"] = new(8, 2) { Normalize = NormRule.Sum },
        ["qwen1.5-moe-a2.7b"] = new(60, 4),
        ["qwen2-57b-a14b"] = new(64, 8),
        ["qwen3-30b-a3b"] = new(128, 8) { Normalize = NormRule.Sum },
        ["qwen3-235b-a22b"] = new(128, 8) { Normalize = NormRule.Sum },
        ["qwen3-next-80b-a3b"] = new(512, 10) { Normalize = NormRule.Sum },
        ["olmoe-1b-7b"] = new(64, 8),
        ["deepseek-v2-lite"] = new(64, 6),
        ["deepseek-v2"] = new(160, 6) { Grouping = GroupRule.KeepByMax, Groups = 8, KeptGroups = 3, Scale = 16 },
        ["deepseek-v3"] = Biased(256, 8, 2.5f, 8, 4),
        ["kimi-k2"] = Biased(384, 8, 2.827f),
        ["kimi-k2-0905"] = Biased(384, 8, 2.827f),
        ["moonlight-16b-a3b"] = Biased(64, 6, 2.446f),
        ["glm-4.5"] = Biased(160, 8, 2.5f),
        ["glm-4.5-air"] = Biased(128, 8, 1),
        ["minimax-m2"] = Biased(256, 8, 1) with { Normalize = NormRule.Sum },
        ["gpt-oss-20b"] = OfLogits(32, 4) with { Normalize = NormRule.SoftmaxOfChosen, HasBias = true },
        ["gpt-oss-120b"] = OfLogits(128, 4) with { Normalize = NormRule.SoftmaxOfChosen, HasBias = true },
        ["llama-4-scout"] = OfLogits(16, 1) with { Normalize = NormRule.SigmoidOfChosen, ApplyToInput = true },
        ["llama-4-maverick"] = OfLogits(128, 1) with { Normalize = NormRule.SigmoidOfChosen, ApplyToInput = true },
        ["pangu-pro-moe"] = new(64, 8) { Grouping = GroupRule.SamePerGroup, Groups = 8, HasExpertScale = true },
        ["switch-base-8"] = RouterSpec.Switch(8, capacity: 64),
        ["switch-base-128"] = RouterSpec.Switch(128, capacity: 64),
        ["nllb-moe-54b"] = RouterSpec.NllbMoe(128),
    };

    public static TheoryData<string> Models => [.. Routers.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void Describe_ReleasedConfig_GivesTheModelsRouter(string name)
    {
        Assert.All(
            new ReleasedModel(name).Networks.OfType<MoeSpec>(), moe => Assert.Equal(Routers[name], moe.Router));
    }

    /// <summary>Widths of an expert, of the shared expert (0 for none), and whether that one is gated.</summary>
    [Theory]
    [InlineData("mixtral-8x7b", 14336, 0, false)]
    [InlineData("qwen1.5-moe-a2.7b", 1408, 5632, true)]
    [InlineData("qwen2-57b-a14b", 2560, 20480, true)]
    [InlineData("qwen3-30b-a3b", 768, 0, false)]
    [InlineData("qwen3-next-80b-a3b", 512, 512, true)]
    [InlineData("deepseek-v2-lite", 1408, 2816, false)]
    [InlineData("deepseek-v3", 2048, 2048, false)]
    [InlineData("moonlight-16b-a3b", 1408, 2816, false)]
    [InlineData("gpt-oss-20b", 2880, 0, false)]
    [InlineData("llama-4-scout", 8192, 8192, false)]
    [InlineData("glm-4.5", 1536, 1536, false)]
    [InlineData("minimax-m2", 1536, 0, false)]
    [InlineData("pangu-pro-moe", 1344, 5376, false)]
    public void Describe_ReleasedConfig_GivesTheModelsExperts(string name, int routed, int shared, bool gated)
    {
        MoeSpec moe = new ReleasedModel(name).FirstMoe;

        Assert.Equal(routed, moe.Experts.Intermediate);
        Assert.Equal(shared, moe.Shared?.Network.Up.Outputs ?? 0);
        Assert.Equal(gated, moe.Shared?.Gate is not null);
    }

    [Fact]
    public void Describe_GptOss_ClampsAnInterleavedSwiGlu()
    {
        MoeSpec moe = new ReleasedModel("gpt-oss-20b").FirstMoe;

        Assert.Equal(new Activation(ActivationKind.ClampedSwiGlu, Gated: true, 1.702f, 7f), moe.Activation);
        Assert.Equal(GateUpOrder.Interleaved, moe.Experts.FusedOrder);
        Assert.Equal(BiasRule.Required, moe.Experts.Bias);
    }

    private static RouterSpec OfLogits(int experts, int topK) => new(experts, topK) { Score = RouterScore.None };

    private static RouterSpec Biased(int experts, int topK, float scale, int groups = 1, int kept = 1) =>
        new(experts, topK)
        {
            Score = RouterScore.Sigmoid,
            Grouping = groups > 1 ? GroupRule.KeepByTopTwoSum : GroupRule.None,
            Groups = groups,
            KeptGroups = kept,
            Normalize = NormRule.SumPlusEpsilon,
            Scale = scale,
            HasChoiceBias = true,
        };
}
