using System.Text;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Models.Loading;

namespace MoeKernels.Tests.Models.Families;

/// <summary>Released configs are read as their models are. Parameter counts are those of the released files without
/// layers for multi-token prediction and without vision towers.</summary>
public sealed class ReleasedConfigTests
{
    [Theory]
    [InlineData("mixtral-8x7b", 32, 4096, 32000, 32768, 46_702_792_704)]
    [InlineData("mixtral-8x22b", 56, 6144, 32000, 65536, 140_620_634_112)]
    [InlineData("qwen1.5-moe-a2.7b", 24, 2048, 151936, 8192, 14_315_784_192)]
    [InlineData("qwen2-57b-a14b", 28, 3584, 151936, 131072, 57_408_658_944)]
    [InlineData("qwen3-30b-a3b", 48, 2048, 151936, 40960, 30_532_122_624)]
    [InlineData("qwen3-30b-a3b-2507", 48, 2048, 151936, 262144, 30_532_122_624)]
    [InlineData("qwen3-30b-a3b-2507-fp8", 48, 2048, 151936, 262144, 30_532_122_624)]
    [InlineData("qwen3-235b-a22b", 94, 4096, 151936, 40960, 235_093_634_560)]
    [InlineData("qwen3-next-80b-a3b", 48, 2048, 151936, 262144, 79_674_391_296)]
    [InlineData("olmoe-1b-7b", 16, 2048, 50304, 4096, 6_919_161_856)]
    [InlineData("deepseek-v2-lite", 27, 2048, 102400, 163840, 15_706_484_224)]
    [InlineData("deepseek-v2", 60, 5120, 102400, 163840, 235_741_434_880)]
    [InlineData("deepseek-v3", 61, 7168, 129280, 163840, 671_026_419_200)]
    [InlineData("deepseek-v3.1", 61, 7168, 129280, 163840, 671_026_419_200)]
    [InlineData("kimi-k2", 61, 7168, 163840, 131072, 1_026_408_232_448)]
    [InlineData("kimi-k2-0905", 61, 7168, 163840, 262144, 1_026_408_232_448)]
    [InlineData("moonlight-16b-a3b", 27, 2048, 163840, 8192, 15_960_110_208)]
    [InlineData("gpt-oss-20b", 24, 2880, 201088, 131072, 20_914_757_184)]
    [InlineData("gpt-oss-120b", 36, 2880, 201088, 131072, 116_829_156_672)]
    [InlineData("llama-4-scout", 48, 5120, 202048, 10485760, 107_769_861_120)]
    [InlineData("llama-4-maverick", 48, 5120, 202048, 1048576, 400_711_848_960)]
    [InlineData("glm-4.5", 92, 5120, 151552, 131072, 352_797_829_024)]
    [InlineData("glm-4.6", 92, 5120, 151552, 202752, 352_797_829_024)]
    [InlineData("glm-4.5-air", 46, 4096, 151552, 131072, 106_852_251_264)]
    [InlineData("minimax-m2", 62, 3072, 200064, 196608, 228_689_764_864)]
    [InlineData("minimax-m2.1", 62, 3072, 200064, 196608, 228_689_764_864)]
    [InlineData("pangu-pro-moe", 48, 5120, 153376, 131072, 71_988_781_056)]
    [InlineData("llama-3.1-8b", 32, 4096, 128256, 131072, 8_030_261_248)]
    [InlineData("switch-base-8", 12, 768, 32128, 32768, 619_339_008)]
    [InlineData("switch-base-128", 12, 768, 32128, 32768, 7_415_217_408)]
    [InlineData("nllb-moe-54b", 24, 2048, 256206, 1024, 54_500_569_088)]
    public void Describe_ReleasedConfig_GivesTheModelsSizes(
        string name, int layers, int hidden, int vocabulary, int context, long parameters)
    {
        var model = new ReleasedModel(name);

        ModelDescription description = model.Description;
        Assert.Equal(
            (layers, hidden, vocabulary, context),
            (description.Decoder.Blocks.Count, description.Hidden, description.VocabularySize, description.MaxContext));
        Assert.Equal(parameters, model.Parameters);
    }

    /// <summary>Every quantisation the released files use is accepted, and every plan comes out positive.</summary>
    [Fact]
    public void EveryConfig_IsAcceptedByTheLoader_AndHasAPlan()
    {
        Assert.NotEmpty(ReleasedModel.Names);
        foreach (string name in ReleasedModel.Names)
        {
            var model = new ReleasedModel(name);
            Assert.Equal(new StoredQuantization(128, 128), StoredQuantization.Read(model.Config));
            foreach (LayerSpec layer in model.Mixers.Concat(model.Networks))
            {
                Assert.True(layer.StateBytes(model.Description.MaxContext) >= 0, name);
                Assert.True(layer.ScratchFloats(4096, model.Description.MaxContext, 64) > 0, name);
            }
        }
    }

    [Theory]
    [InlineData("mixtral-8x7b", 0, 32, 1)]
    [InlineData("qwen1.5-moe-a2.7b", 0, 24, 1)]
    [InlineData("qwen3-235b-a22b", 0, 94, 1)]
    [InlineData("deepseek-v2-lite", 1, 27, 1)]
    [InlineData("deepseek-v2", 1, 60, 1)]
    [InlineData("deepseek-v3", 3, 61, 1)]
    [InlineData("kimi-k2", 1, 61, 1)]
    [InlineData("gpt-oss-120b", 0, 36, 1)]
    [InlineData("llama-4-scout", 0, 48, 1)]
    [InlineData("llama-4-maverick", 1, 48, 2)]
    [InlineData("glm-4.5", 3, 92, 1)]
    [InlineData("glm-4.5-air", 1, 46, 1)]
    [InlineData("switch-base-8", 1, 12, 2)]
    [InlineData("nllb-moe-54b", 3, 24, 4)]
    public void Describe_ReleasedConfig_RoutesTheModelsLayers(string name, int first, int end, int step)
    {
        IEnumerable<int> expected = Enumerable.Range(first, end - first).Where(i => (i - first) % step == 0);

        Assert.Equal(expected, new ReleasedModel(name).MoeLayers);
    }

    [Theory]
    [InlineData("switch-base-8", true)]
    [InlineData("nllb-moe-54b", true)]
    [InlineData("llama-3.1-8b", false)]
    [InlineData("deepseek-v3", false)]
    [InlineData("llama-4-scout", false)]
    public void Describe_ReleasedConfig_TiesTheHeadWhereTheModelDoes(string name, bool tied)
    {
        ModelDescription model = new ReleasedModel(name).Description;

        Assert.Equal(tied, model.Head.Weight.First == model.Decoder.Embedding.First);
    }

    /// <summary>MiniMax-M2 was first released under the type of MiniMax-Text-01, whose layers are others.</summary>
    [Theory]
    [InlineData("""{"model_type":"minimax","architectures":["MiniMaxText01ForCausalLM"]}""")]
    [InlineData("""{"model_type":"minimax"}""")]
    [InlineData("""{"model_type":"minimax_m2","scoring_func":"softmax"}""")]
    [InlineData("""{"model_type":"minimax_m2","shared_intermediate_size":1024}""")]
    [InlineData("""{"model_type":"minimax_m2","qk_norm_type":"per_head"}""")]
    [InlineData("""{"model_type":"minimax_m2","attn_type_list":[1,0]}""")]
    [InlineData("""{"model_type":"PanguProMoE","sandwich_norm":true}""")]
    public void Describe_AnotherArchitectureUnderTheSameType_IsRefused(string json)
    {
        Assert.Throws<MoeUnsupportedException>(() => FamilyRegistry.Describe(Config(json)));
    }

    [Theory]
    [InlineData("""{"quant_method":"compressed-tensors","format":"pack-quantized"}""", "pack-quantized")]
    [InlineData("""{"quant_method":"awq"}""", "awq")]
    [InlineData("""{"quant_method":"gptq"}""", "gptq")]
    public void Quantization_ThatIsNotRead_IsRefusedByName(string json, string name)
    {
        var error = Assert.Throws<MoeUnsupportedException>(
            () => StoredQuantization.Read(Config($$"""{"quantization_config":{{json}}}""")));

        Assert.Contains($"'{name}'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"quant_method":"compressed-tensors","format":"float-quantized"}""", 128, 128)]
    [InlineData("""{"quant_method":"fp8","weight_block_size":[64,32]}""", 64, 32)]
    [InlineData("""{"quant_method":"fp8","weight_block_size":null}""", 128, 128)]
    public void Quantization_ThatIsRead_GivesItsBlocks(string json, int rows, int columns)
    {
        Assert.Equal(
            new StoredQuantization(rows, columns),
            StoredQuantization.Read(Config($$"""{"quantization_config":{{json}}}""")));
    }

    private static ConfigReader Config(string json) => ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(json));
}
