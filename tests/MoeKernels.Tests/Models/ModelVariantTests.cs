using System.Text.Json.Nodes;
using MoeKernels.Formats;

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
    [InlineData(true)]
    [InlineData(false)]
    public void Experts_FusedWhereOneTensorIsSquare_AreToldApartByTheOther(bool inputsFirst)
    {
        int[][] prompts = Prompts("qwen3_moe", out _);
        using ModelVariant perExpert = HalfAsWideAsHidden();
        using ModelVariant fused = HalfAsWideAsHidden();
        fused.Fuse(inputsFirst);

        Assert.Equal(perExpert.Logits(prompts), fused.Logits(prompts));
    }

    [Fact]
    public void Weights_HalfPrecision_EqualTheirWidenedCopies()
    {
        int[][] prompts = Prompts("qwen2_moe", out _);
        using ModelVariant halved = ModelVariant.Of("qwen2_moe");
        using ModelVariant widened = ModelVariant.Of("qwen2_moe");
        foreach (string tensor in halved.Tensors.Keys.ToArray())
        {
            halved.Tensors[tensor] = halved.Tensors[tensor].Halved();
            widened.Tensors[tensor] = halved.Tensors[tensor].Widened();
        }

        Assert.Equal(widened.Logits(prompts), halved.Logits(prompts));
    }

    [Fact]
    public void Weights_BlockScaledFp8_EqualTheirWidenedCopies()
    {
        const int block = 16;
        int[][] prompts = Prompts("qwen3_moe", out _);
        using ModelVariant quantized = ModelVariant.Of("qwen3_moe");
        using ModelVariant widened = ModelVariant.Of("qwen3_moe");
        var random = new Random(5);
        foreach (string name in NamesWith(quantized, "_proj.weight"))
        {
            (int rows, int columns) = ((int)quantized.Tensors[name].Shape[0], (int)quantized.Tensors[name].Shape[1]);
            int blocks = (columns + block - 1) / block;
            float[] scales = Random(random, (rows + block - 1) / block * blocks, 2e-4f);
            byte[] codes = [.. Enumerable.Range(0, rows * columns).Select(_ => (byte)(random.Next(256) & 0xF7))];
            float[] values = [.. codes.Select((code, i) =>
                WeightElement.Fp8(code) * scales[(i / columns / block * blocks) + (i % columns / block)])];
            quantized.Tensors[name] = new StoredTensor(ElementType.F8E4M3, [rows, columns], codes);
            quantized.Tensors[$"{name}_scale_inv"] = StoredTensor.Of(scales, scales.Length / blocks, blocks);
            widened.Tensors[name] = StoredTensor.Of(values, rows, columns);
        }

        quantized.Config["quantization_config"] = JsonNode.Parse(
            $$"""{ "quant_method": "fp8", "weight_block_size": [{{block}}, {{block}}] }""");
        Assert.Equal(widened.Logits(prompts), quantized.Logits(prompts));
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

    [Theory]
    [InlineData("language_model.")]
    [InlineData("")]
    public void Llama4_InsideAMultimodalCheckpoint_GivesTheSameBits(string prefix)
    {
        int[][] prompts = Prompts("llama4-text", out float[] expected);
        using ModelVariant variant = ModelVariant.Of("llama4-text");
        JsonNode text = variant.Config.DeepClone();
        variant.Config.Clear();
        variant.Config["model_type"] = "llama4";
        variant.Config["text_config"] = text;
        foreach (string tensor in variant.Tensors.Keys.ToArray())
            variant.Rename(tensor, prefix + tensor);

        Assert.Equal(expected, variant.Logits(prompts));
    }

    [Fact]
    public void Llama4_TemperatureSwitchAsANumber_IsTheSwitch()
    {
        int[][] prompts = Prompts("llama4-text", out float[] expected);
        using ModelVariant on = ModelVariant.Of("llama4-text");
        using ModelVariant off = ModelVariant.Of("llama4-text");
        on.Config["attn_temperature_tuning"] = 4;
        off.Config["attn_temperature_tuning"] = 0;

        Assert.Equal(expected, on.Logits(prompts));
        Assert.NotEqual(expected, off.Logits(prompts));
    }

    [Fact]
    public void Pangu_WithoutRouterScale_EqualsAScaleOfOnes()
    {
        int[][] prompts = Prompts("pangu_pro_moe", out _);
        using ModelVariant ones = ModelVariant.Of("pangu_pro_moe");
        using ModelVariant without = ModelVariant.Of("pangu_pro_moe");
        foreach (string tensor in NamesWith(ones, "router_scale"))
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

    /// <summary>Experts of 24 on a hidden size of 48: gate and up together are square.</summary>
    private static ModelVariant HalfAsWideAsHidden()
    {
        ModelVariant variant = ModelVariant.Of("qwen3_moe");
        variant.Config["moe_intermediate_size"] = 24;
        foreach (string name in NamesWith(variant, ".experts."))
        {
            bool down = name.Contains("down_proj", StringComparison.Ordinal);
            variant.Tensors[name] = variant.Tensors[name].Corner(down ? 48 : 24, down ? 24 : 48);
        }

        return variant;
    }

    private static float[] Random(Random random, int count, float scale) =>
        [.. Enumerable.Range(0, count).Select(_ => scale * (0.5f + random.NextSingle()))];

    private static string[] NamesWith(ModelVariant variant, string part) =>
        [.. variant.Tensors.Keys.Where(name => name.Contains(part, StringComparison.Ordinal))];

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
