using System.Text.Json.Nodes;

namespace MoeKernels.Tests.Models;

/// <summary>The same weights under other keys, names and layouts give the same bits.</summary>
public sealed class ModelVariantTests
{
    [Fact]
    public void Config_NewKeyStyle_GivesTheSameBits()
    {
        int[][] prompts = Prompts("qwen3_moe", out float[] expected);
        using ModelVariant variant = ModelVariant.Of("qwen3_moe");
        variant.Config["rope_parameters"] = new JsonObject
        {
            ["rope_theta"] = variant.Config["rope_theta"]!.DeepClone(),
            ["rope_type"] = "default",
        };
        variant.Config["num_experts"] = variant.Config["num_local_experts"]!.DeepClone();
        foreach (string old in new[] { "rope_theta", "rope_scaling", "num_local_experts" })
            variant.Config.Remove(old);

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Theory]
    [InlineData("12")]
    [InlineData("null")]
    [InlineData(null)]
    public void Config_HeadDimGivenOrNot_GivesTheSameBits(string? headDim)
    {
        int[][] prompts = Prompts("mixtral", out float[] expected);
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Config.Remove("head_dim");
        if (headDim is not null)
            variant.Config["head_dim"] = JsonNode.Parse(headDim);

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Fact]
    public void Head_TiedToEmbedding_EqualsAHeadThatIsACopy()
    {
        int[][] prompts = Prompts("mixtral", out _);
        using ModelVariant copied = ModelVariant.Of("mixtral");
        copied.Tensors["lm_head.weight"] = copied.Tensors["model.embed_tokens.weight"];
        using ModelVariant tied = ModelVariant.Of("mixtral");
        tied.Tensors.Remove("lm_head.weight");
        tied.Config["tie_word_embeddings"] = true;

        Assert.Equal(copied.Logits(prompts), tied.Logits(prompts));
    }

    [Fact]
    public void Files_ShardedOrOne_GiveTheSameBits()
    {
        int[][] prompts = Prompts("qwen3_moe", out float[] expected);
        using ModelVariant variant = ModelVariant.Of("qwen3_moe");

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Theory]
    [InlineData("qwen3_moe", true)]
    [InlineData("qwen3_moe", false)]
    [InlineData("glm4_moe", true)]
    [InlineData("olmoe", false)]
    public void Experts_Fused_GiveTheSameBits(string name, bool inputsFirst)
    {
        int[][] prompts = Prompts(name, out float[] expected);
        using ModelVariant variant = ModelVariant.Of(name);
        variant.Fuse(inputsFirst);

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Theory]
    [InlineData("llama4-text")]
    [InlineData("gpt_oss")]
    public void Experts_FusedTheOtherWay_GiveTheSameBits(string name)
    {
        int[][] prompts = Prompts(name, out float[] expected);
        using ModelVariant variant = ModelVariant.Of(name);
        foreach (string tensor in variant.Tensors.Keys.Where(IsFusedMatrix).ToArray())
            variant.Tensors[tensor] = variant.Tensors[tensor].Transposed();

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Fact]
    public void Experts_TensorsThatContradictEachOther_AreRefused()
    {
        using ModelVariant variant = ModelVariant.Of("qwen3_moe");
        variant.Fuse(inputsFirst: false);
        string down = variant.Tensors.Keys.First(name => name.EndsWith("experts.down_proj", StringComparison.Ordinal));
        variant.Tensors[down] = variant.Tensors[down].Transposed();

        var error = Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save()));
        Assert.Equal(down, error.Item);
    }

    [Theory]
    [InlineData("qwen2_moe")]
    [InlineData("llama")]
    [InlineData("gpt_oss")]
    public void Weights_WidenedToSingle_GiveTheSameBits(string name)
    {
        int[][] prompts = Prompts(name, out float[] expected);
        using ModelVariant variant = ModelVariant.Of(name);
        foreach (string tensor in variant.Tensors.Keys.ToArray())
            variant.Tensors[tensor] = variant.Tensors[tensor].Widened();

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Fact]
    public void Llama4_InsideAMultimodalCheckpoint_GivesTheSameBits()
    {
        int[][] prompts = Prompts("llama4-text", out float[] expected);
        using ModelVariant variant = ModelVariant.Of("llama4-text");
        JsonNode text = variant.Config.DeepClone();
        variant.Config.Clear();
        variant.Config["model_type"] = "llama4";
        variant.Config["text_config"] = text;
        foreach (string tensor in variant.Tensors.Keys.ToArray())
            variant.Rename(tensor, $"language_model.{tensor}");

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Fact]
    public void Pangu_WithoutRouterScale_EqualsAScaleOfOnes()
    {
        int[][] prompts = Prompts("pangu_pro_moe", out _);
        using ModelVariant ones = ModelVariant.Of("pangu_pro_moe");
        using ModelVariant without = ModelVariant.Of("pangu_pro_moe");
        string[] scales = [.. ones.Tensors.Keys.Where(name => name.Contains("router_scale", StringComparison.Ordinal))];
        foreach (string tensor in scales)
        {
            StoredTensor scale = ones.Tensors[tensor];
            ones.Tensors[tensor] = scale with
            {
                Bytes = [.. Enumerable.Range(0, scale.Bytes.Length).Select(i => (byte)(i % 2 == 0 ? 0x80 : 0x3F))],
            };
            without.Tensors.Remove(tensor);
        }

        Assert.Equal(ones.Logits(prompts), without.Logits(prompts));
    }

    private static bool IsFusedMatrix(string name) =>
        name.EndsWith("experts.gate_up_proj", StringComparison.Ordinal)
        || name.EndsWith("experts.down_proj", StringComparison.Ordinal);

    private static int[][] Prompts(string name, out float[] logits)
    {
        using var golden = new Golden(Golden.Folder(name));
        using TestModel model = TestModel.Load(Golden.Folder(name));
        int[][] prompts = golden.Rows("input_ids");
        logits = model.Prefill(prompts);
        return prompts;
    }
}
