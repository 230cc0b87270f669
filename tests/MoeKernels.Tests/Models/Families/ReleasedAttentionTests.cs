using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Tests.Models.Families;

/// <summary>Released configs give the attention of their models: heads, norms, windows, rotary positions.</summary>
public sealed class ReleasedAttentionTests
{
    [Theory]
    [InlineData("mixtral-8x7b", 32, 8, 128, 1e6, 128)]
    [InlineData("mixtral-8x22b", 48, 8, 128, 1e6, 128)]
    [InlineData("qwen1.5-moe-a2.7b", 16, 16, 128, 1e6, 128)]
    [InlineData("qwen2-57b-a14b", 28, 4, 128, 1e6, 128)]
    [InlineData("qwen3-30b-a3b", 32, 4, 128, 1e6, 128)]
    [InlineData("qwen3-30b-a3b-2507", 32, 4, 128, 1e7, 128)]
    [InlineData("qwen3-235b-a22b", 64, 4, 128, 1e6, 128)]
    [InlineData("olmoe-1b-7b", 16, 16, 128, 1e4, 128)]
    [InlineData("glm-4.5", 96, 8, 128, 1e6, 64)]
    [InlineData("glm-4.5-air", 96, 8, 128, 1e6, 64)]
    [InlineData("minimax-m2", 48, 8, 128, 5e6, 64)]
    [InlineData("pangu-pro-moe", 40, 8, 128, 16e6, 128)]
    [InlineData("llama-4-maverick", 40, 8, 128, 5e5, 128)]
    public void Describe_PlainRotation_GivesHeadsAndRotatedElements(
        string name, int heads, int keyValueHeads, int headDim, double theta, int rotated)
    {
        AttentionSpec attention = new ReleasedModel(name).Attention(0);

        Assert.Equal((heads, keyValueHeads, headDim), (attention.Heads, attention.KeyValueHeads, attention.HeadDim));
        Assert.Equal(new RopeSpec(theta, rotated, attention.Rope!.Interleaved), attention.Rope);
        Assert.Equal(1 / MathF.Sqrt(headDim), attention.Scale, 1e-7f);
        Assert.Equal(name.StartsWith("llama-4", StringComparison.Ordinal), attention.Rope.Interleaved);
    }

    [Theory]
    [InlineData("mixtral-8x7b")]
    [InlineData("qwen1.5-moe-a2.7b")]
    [InlineData("qwen2-57b-a14b")]
    [InlineData("qwen3-30b-a3b")]
    [InlineData("glm-4.5")]
    [InlineData("minimax-m2")]
    [InlineData("pangu-pro-moe")]
    [InlineData("llama-3.1-8b")]
    public void Describe_ReleasedConfig_SeesTheWholeContext(string name)
    {
        Assert.All(
            new ReleasedModel(name).Mixers.Cast<AttentionSpec>(),
            attention => Assert.Equal(AttentionWindow.Full, attention.Window));
    }

    [Theory]
    [InlineData("mixtral-8x7b", nameof(BiasRule.None), nameof(BiasRule.None))]
    [InlineData("qwen1.5-moe-a2.7b", nameof(BiasRule.Required), nameof(BiasRule.None))]
    [InlineData("qwen2-57b-a14b", nameof(BiasRule.Required), nameof(BiasRule.None))]
    [InlineData("qwen3-30b-a3b", nameof(BiasRule.None), nameof(BiasRule.None))]
    [InlineData("glm-4.5-air", nameof(BiasRule.Required), nameof(BiasRule.None))]
    [InlineData("gpt-oss-20b", nameof(BiasRule.Required), nameof(BiasRule.Required))]
    [InlineData("llama-4-scout", nameof(BiasRule.None), nameof(BiasRule.None))]
    public void Describe_ReleasedConfig_GivesTheModelsBiases(string name, string input, string output)
    {
        AttentionSpec attention = new ReleasedModel(name).Attention(0);

        Assert.Equal((input, output), ($"{attention.Key.Bias}", $"{attention.Output.Bias}"));
    }

    [Theory]
    [InlineData("mixtral-8x7b", nameof(QueryKeyNorm.None), 0)]
    [InlineData("qwen3-30b-a3b", nameof(QueryKeyNorm.PerHead), 128)]
    [InlineData("olmoe-1b-7b", nameof(QueryKeyNorm.FullWidth), 2048)]
    [InlineData("minimax-m2", nameof(QueryKeyNorm.FullWidth), 6144)]
    [InlineData("glm-4.5", nameof(QueryKeyNorm.PerHead), 128)]
    [InlineData("glm-4.5-air", nameof(QueryKeyNorm.None), 0)]
    [InlineData("llama-4-scout", nameof(QueryKeyNorm.PerHeadAfterRope), 128)]
    [InlineData("llama-4-maverick", nameof(QueryKeyNorm.None), 0)]
    public void Describe_ReleasedConfig_GivesTheModelsQueryNorm(string name, string norm, int size)
    {
        AttentionSpec attention = new ReleasedModel(name).Attention(0);

        Assert.Equal((norm, size), ($"{attention.Norm}", attention.QueryNorm?.Size ?? 0));
        Assert.Null(attention.Clip);
    }

    [Theory]
    [InlineData("deepseek-v2-lite", 16, 0, 40, 0.707, 10000)]
    [InlineData("deepseek-v2", 128, 1536, 40, 1, 10000)]
    [InlineData("deepseek-v3", 128, 1536, 40, 1, 10000)]
    [InlineData("kimi-k2", 64, 1536, 32, 1, 50000)]
    [InlineData("kimi-k2-0905", 64, 1536, 64, 1, 50000)]
    public void Describe_LatentAttentionWithYarn_ScalesScoresByMscale(
        string name, int heads, int queryRank, double factor, double mscale, double theta)
    {
        MlaSpec mla = new ReleasedModel(name).Latent(5);

        double magnitude = (0.1 * mscale * Math.Log(factor)) + 1;
        Assert.Equal(
            (heads, 128, 64, 128, 512), (mla.Heads, mla.NopeDim, mla.RopeDim, mla.ValueDim, mla.KvRank));
        Assert.Equal(queryRank, mla.QueryDown?.Outputs ?? 0);
        Assert.Equal(magnitude * magnitude / Math.Sqrt(192), mla.Scale, 1e-7);
        Assert.Equal(
            (RopeScaling.Yarn, theta, 64, true, factor, 4096, 1d),
            (mla.Rope.Scaling, mla.Rope.Theta, mla.Rope.Dimensions, mla.Rope.Interleaved, mla.Rope.Factor,
                mla.Rope.OriginalContext, mla.Rope.AttentionFactor));
        double fast = name.StartsWith("kimi", StringComparison.Ordinal) ? 1 : 32;
        Assert.Equal((fast, 1d), (mla.Rope.BetaFast, mla.Rope.BetaSlow));
    }

    [Fact]
    public void Describe_Moonlight_RotatesPlainlyAndProjectsQueriesDirectly()
    {
        MlaSpec mla = new ReleasedModel("moonlight-16b-a3b").Latent(26);

        Assert.Equal(new RopeSpec(50000, 64, Interleaved: true), mla.Rope);
        Assert.Equal(1 / Math.Sqrt(192), mla.Scale, 1e-7);
        Assert.Null(mla.QueryDown);
        Assert.Equal(16 * 192, mla.Query!.Outputs);
    }

    [Theory]
    [InlineData("gpt-oss-20b")]
    [InlineData("gpt-oss-120b")]
    public void Describe_GptOss_SlidesEveryOtherLayerAndHasSinks(string name)
    {
        var model = new ReleasedModel(name);
        for (int i = 0; i < model.Mixers.Length; i++)
        {
            AttentionSpec attention = model.Attention(i);
            Assert.Equal(
                i % 2 == 0 ? (AttentionWindow.Sliding, 128) : (AttentionWindow.Full, 0),
                (attention.Window, attention.WindowSize));
            Assert.Equal((64, 8, 64), (attention.Heads, attention.KeyValueHeads, attention.HeadDim));
            Assert.NotNull(attention.Sinks);
            RopeSpec rope = attention.Rope!;
            Assert.Equal(
                (RopeScaling.Yarn, 150000d, 32d, 4096, false),
                (rope.Scaling, rope.Theta, rope.Factor, rope.OriginalContext, rope.Truncate));
            Assert.Equal((0.1 * Math.Log(32)) + 1, rope.AttentionFactor, 1e-12);
        }
    }

    [Theory]
    [InlineData("llama-4-scout")]
    [InlineData("llama-4-maverick")]
    public void Describe_Llama4_EveryFourthLayerHasNoPositionsAndNoChunks(string name)
    {
        var model = new ReleasedModel(name);
        for (int i = 0; i < model.Mixers.Length; i++)
        {
            AttentionSpec attention = model.Attention(i);
            bool free = i % 4 == 3;
            Assert.Equal(free, attention.Rope is null);
            Assert.Equal(
                free ? (AttentionWindow.Full, 0) : (AttentionWindow.Chunked, 8192),
                (attention.Window, attention.WindowSize));
            Assert.Equal(free ? new TemperatureSpec(0.1f, 8192) : null, attention.Temperature);
        }
    }

    /// <summary>Scout is released with two equal factors: frequencies are kept or divided, nothing between.</summary>
    [Fact]
    public void Describe_Llama4Scout_KeepsOrDividesEachFrequency()
    {
        RopeSpec rope = new ReleasedModel("llama-4-scout").Attention(0).Rope!;
        float[] plain = new float[64];
        float[] scaled = new float[64];
        RopeFrequencies.Compute(new RopeSpec(500000, 128), 0, plain);
        RopeFrequencies.Compute(rope, 0, scaled);

        Assert.Equal(
            (RopeScaling.Llama3, 16d, 1d, 1d, 8192),
            (rope.Scaling, rope.Factor, rope.LowFrequencyFactor, rope.HighFrequencyFactor, rope.OriginalContext));
        Assert.Equal(plain.Select(f => 8192 * f >= 2 * Math.PI ? f : f / 16), scaled);
    }

    [Fact]
    public void Describe_Llama31_ScalesByWavelength()
    {
        AttentionSpec attention = new ReleasedModel("llama-3.1-8b").Attention(0);

        Assert.Equal((32, 8, 128), (attention.Heads, attention.KeyValueHeads, attention.HeadDim));
        Assert.Equal(
            new RopeSpec(500000, 128)
            {
                Scaling = RopeScaling.Llama3,
                Factor = 8,
                LowFrequencyFactor = 1,
                HighFrequencyFactor = 4,
                OriginalContext = 8192,
            },
            attention.Rope);
    }

    [Fact]
    public void Describe_Qwen3Next_AttendsInEveryFourthLayer()
    {
        var model = new ReleasedModel("qwen3-next-80b-a3b");

        Assert.Equal(
            Enumerable.Range(0, 48).Where(i => i % 4 == 3),
            Enumerable.Range(0, 48).Where(i => model.Mixers[i] is AttentionSpec));
        AttentionSpec attention = model.Attention(47);
        Assert.Equal((16, 2, 256), (attention.Heads, attention.KeyValueHeads, attention.HeadDim));
        Assert.True(attention.OutputGate);
        Assert.Equal(new RopeSpec(1e7, 64), attention.Rope);
        var delta = (DeltaNetSpec)model.Mixers[0];
        Assert.Equal(
            (16, 32, 128, 128, 4, 8192),
            (delta.KeyHeads, delta.ValueHeads, delta.KeyDim, delta.ValueDim, delta.ConvKernel, delta.Channels));
    }

    [Fact]
    public void Describe_EncoderDecoders_GiveTheirPositionsAndScales()
    {
        var switchModel = new ReleasedModel("switch-base-8");
        AttentionSpec self = switchModel.Attention(0);
        Assert.Equal((12, 64, 1f), (self.Heads, self.HeadDim, self.Scale));
        Assert.Equal((32, 128, false), (self.RelativeBias!.Buckets, self.RelativeBias.MaxDistance,
            self.RelativeBias.Bidirectional));
        Assert.Equal(1 / MathF.Sqrt(768), switchModel.Description.HeadInputScale, 1e-7f);
        Assert.Equal(12, switchModel.Description.Encoder!.Blocks.Count);

        ModelDescription nllb = new ReleasedModel("nllb-moe-54b").Description;
        var cross = (AttentionSpec)nllb.Decoder.Blocks[0].Sublayers[1].Layer;
        Assert.Equal((16, 128, KeySource.Encoder), (cross.Heads, cross.HeadDim, cross.Source));
        Assert.Equal(MathF.Sqrt(2048), nllb.Decoder.EmbeddingScale);
        Assert.Equal(new SinusoidalSpec(1, ElementType.F32), nllb.Encoder!.Positions);
        Assert.Equal(2, nllb.DecoderStartToken);
    }
}
