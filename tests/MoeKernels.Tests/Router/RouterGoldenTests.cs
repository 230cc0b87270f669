using MoeKernels.Formats;
using MoeKernels.Router;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Router;

/// <summary>Every preset against the routers of the reference models: stored logits in, stored choices out.</summary>
public class RouterGoldenTests
{
    private const float Tolerance = 1e-5f;

    /// <summary>Choices closer than this may fall either way.</summary>
    private const float DecisiveGap = 1e-5f;

    private static readonly Dictionary<string, RouterSpec> Presets = new()
    {
        ["mixtral"] = RouterSpec.Mixtral(8, 2),
        ["mixtral-sliding"] = RouterSpec.Mixtral(8, 2),
        ["mixtral-v5-layout"] = RouterSpec.Mixtral(8, 2),
        ["qwen2_moe"] = RouterSpec.Qwen2Moe(8, 3),
        ["qwen3_moe"] = RouterSpec.Qwen3Moe(8, 3),
        ["qwen3_moe-yarn"] = RouterSpec.Qwen3Moe(8, 2),
        ["qwen3_next"] = RouterSpec.Qwen3Next(8, 3),
        ["olmoe"] = RouterSpec.Olmoe(8, 4),
        ["deepseek_v2-lite"] = RouterSpec.DeepSeekV2Lite(8, 3),
        ["deepseek_v2"] = RouterSpec.DeepSeekV2(8, 3, groups: 4, keptGroups: 2, scale: 16f),
        ["deepseek_v3"] = RouterSpec.DeepSeekV3(16, 4, groups: 4, keptGroups: 2, scale: 2.5f),
        ["deepseek_v3-fp8"] = RouterSpec.DeepSeekV3(4, 2, groups: 2, keptGroups: 1, scale: 2.5f),
        ["glm4_moe"] = RouterSpec.Glm4Moe(8, 3),
        ["minimax_m2"] = RouterSpec.MiniMaxM2(8, 3),
        ["gpt_oss"] = RouterSpec.GptOss(8, 4),
        ["gpt_oss-mxfp4"] = RouterSpec.GptOss(8, 4),
        ["llama4-text"] = RouterSpec.Llama4(4),
        ["pangu_pro_moe"] = RouterSpec.PanguProMoe(16, 4, groups: 4),
        ["pangu-two-per-group"] = RouterSpec.PanguProMoe(8, 4, groups: 2),
        ["switch"] = RouterSpec.Switch(8),
        ["switch-all-sparse"] = RouterSpec.Switch(8),
        ["switch-drops"] = RouterSpec.Switch(8, capacity: 2),
        ["nllb_moe"] = RouterSpec.NllbMoe(8),
    };

    /// <summary>Presets with one rule wrong, each of which the stored choices must expose.</summary>
    private static readonly Dictionary<string, RouterSpec> Faults = new()
    {
        ["mixtral"] = Presets["mixtral"] with { Normalize = NormRule.None },
        ["qwen2_moe"] = Presets["qwen2_moe"] with { Normalize = NormRule.Sum },
        ["deepseek_v2"] = Presets["deepseek_v2"] with { Grouping = GroupRule.KeepByTopTwoSum },
        ["deepseek_v2-lite"] = Presets["deepseek_v2-lite"] with { Scale = 16f },
        ["deepseek_v3"] = Presets["deepseek_v3"] with { Grouping = GroupRule.KeepByMax },
        ["glm4_moe"] = Presets["glm4_moe"] with { HasChoiceBias = false },
        ["gpt_oss"] = Presets["gpt_oss"] with { Score = RouterScore.Softmax, Normalize = NormRule.None },
        ["llama4-text"] = Presets["llama4-text"] with { Score = RouterScore.Softmax, Normalize = NormRule.None },
        ["pangu_pro_moe"] = Presets["pangu_pro_moe"] with { Grouping = GroupRule.None },
        ["pangu-two-per-group"] = Presets["pangu-two-per-group"] with { Normalize = NormRule.Sum },
        ["switch-drops"] = Presets["switch"],
        ["nllb_moe"] = Presets["nllb_moe"] with { SkipPadding = false },
    };

    public static TheoryData<string> Folders => [.. Presets.Keys];

    public static TheoryData<string> FaultyFolders => [.. Faults.Keys];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Preset_StoredLogits_GivesStoredChoices(string folder) => Check(folder, Presets[folder]);

    [Theory]
    [MemberData(nameof(FaultyFolders))]
    public void Preset_OneRuleWrong_IsExposed(string folder) =>
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => Check(folder, Faults[folder]));

    private static void Check(string folder, RouterSpec spec)
    {
        using var golden = new GoldenFile(folder);
        using var checkpoint = Checkpoint.Open(RepositoryPaths.DataFile("models", folder));
        string[] routers = golden.Routers();
        Assert.NotEmpty(routers);
        foreach (string router in routers)
        {
            string module = router["router.".Length..];
            int[] mask = Mask(golden, module);
            float[] logits = golden.Floats(router + ".logits");
            var run = RouterRun.Select(
                spec, logits, ChoiceBias(spec, checkpoint, module), ExpertScale(spec, checkpoint, module),
                starts: [0, logits.Length / spec.Experts / 2], mask: mask);
            Compare(golden, router, spec, run);
        }
    }

    private static void Compare(GoldenFile golden, string router, RouterSpec spec, RouterRun run)
    {
        if (golden.Has(router + ".ids"))
        {
            CompareSorted(golden.Ints(router + ".ids"), golden.Floats(router + ".weights"), spec, run);
            return;
        }

        if (golden.Has(router + ".selected"))
        {
            Assert.Equal(golden.Ints(router + ".selected"), run.Dense(ones: true).Select(one => (int)one));
            AssertClose(golden.Floats(router + ".weight"), run.Weights);
            return;
        }

        string dense = golden.Has(router + ".scores") ? ".scores" : ".combine";
        AssertClose(golden.Floats(router + dense), run.Dense());
    }

    private static void CompareSorted(int[] ids, float[] weights, RouterSpec spec, RouterRun run)
    {
        for (int t = 0; t < ids.Length / spec.TopK; t++)
        {
            var stored = Row(ids, weights, t, spec.TopK);
            var computed = Row(run.Ids, run.Weights, t, spec.TopK);
            for (int j = 0; j < spec.TopK; j++)
            {
                Assert.InRange(computed[j].Weight, stored[j].Weight - (Tolerance * spec.Scale),
                    stored[j].Weight + (Tolerance * spec.Scale));
                float weight = stored[j].Weight;
                if (stored.Where((_, i) => i != j).All(other => Math.Abs(other.Weight - weight) > DecisiveGap))
                    Assert.Equal(stored[j].Id, computed[j].Id);
            }
        }
    }

    private static (float Weight, int Id)[] Row(int[] ids, float[] weights, int token, int topK) =>
    [
        .. Enumerable.Range(token * topK, topK).Select(i => (weights[i], ids[i]))
            .OrderByDescending(pair => pair.Item1).ThenBy(pair => pair.Item2),
    ];

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
            Assert.InRange(actual[i], expected[i] - Tolerance, expected[i] + Tolerance);
    }

    private static int[] Mask(GoldenFile golden, string module) =>
        module.Contains("encoder", StringComparison.Ordinal) && golden.Has("attention_mask")
            ? golden.Ints("attention_mask")
            : [];

    private static float[]? ChoiceBias(RouterSpec spec, Checkpoint checkpoint, string module)
    {
        if (!spec.HasChoiceBias)
            return null;

        string name = module + ".e_score_correction_bias";
        if (!checkpoint.Contains(name))
            name = module.Replace("mlp.gate", "block_sparse_moe.e_score_correction_bias", StringComparison.Ordinal);
        return checkpoint.Get(name).ToSingles();
    }

    private static float[]? ExpertScale(RouterSpec spec, Checkpoint checkpoint, string module) => spec.HasExpertScale
        ? checkpoint.Get(module.Replace(".gate", ".router_scale", StringComparison.Ordinal)).ToSingles()
        : null;
}
