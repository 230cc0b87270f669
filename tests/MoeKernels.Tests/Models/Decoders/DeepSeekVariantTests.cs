using System.Text;
using System.Text.Json.Nodes;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Families;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cpu;
using MoeKernels.Tests.Cuda;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>DeepSeek models of other shapes and switches than the reference files, against a scalar one.</summary>
public sealed class DeepSeekVariantTests
{
    private const string V2 =
        """
        {"model_type":"deepseek_v2","vocab_size":37,"hidden_size":24,"num_hidden_layers":2,"num_attention_heads":3,
         "first_k_dense_replace":1,"intermediate_size":20,"moe_intermediate_size":9,"n_routed_experts":6,
         "n_shared_experts":2,"num_experts_per_tok":2,"routed_scaling_factor":1.5,"topk_method":"greedy",
         "q_lora_rank":null,"kv_lora_rank":17,"qk_nope_head_dim":7,"qk_rope_head_dim":6,"v_head_dim":5,
         "rms_norm_eps":1e-5,"max_position_embeddings":64,"rope_theta":10000.0}
        """;

    private const string V3 =
        """
        {"model_type":"deepseek_v3","vocab_size":37,"hidden_size":24,"num_hidden_layers":2,"num_attention_heads":5,
         "first_k_dense_replace":0,"intermediate_size":20,"moe_intermediate_size":9,"n_routed_experts":8,
         "n_shared_experts":1,"num_experts_per_tok":3,"routed_scaling_factor":2.5,"norm_topk_prob":true,
         "n_group":4,"topk_group":2,"q_lora_rank":11,"kv_lora_rank":33,"qk_nope_head_dim":16,"qk_rope_head_dim":8,
         "v_head_dim":19,"rms_norm_eps":1e-6,"max_position_embeddings":64,"rope_theta":10000.0}
        """;

    private const string Yarn =
        """
        "rope_scaling":{"type":"yarn","factor":4,"original_max_position_embeddings":16,"beta_fast":32,"beta_slow":1
        """;

    [Theory]
    [InlineData(V2, "{}")]
    [InlineData(V2, """{"topk_method":"group_limited_greedy","n_group":3,"topk_group":2,"q_lora_rank":13}""")]
    [InlineData(V2, """{"attention_bias":true,"q_lora_rank":8,"n_shared_experts":null}""")]
    [InlineData(V2, "{" + Yarn + ""","mscale":0.7,"mscale_all_dim":0.9}}""")]
    [InlineData(V2, """{"num_attention_heads":1,"v_head_dim":16,"first_k_dense_replace":2}""")]
    [InlineData(V3, "{}")]
    [InlineData(V3, """{"q_lora_rank":null,"rope_interleave":false}""")]
    [InlineData(V3, """{"n_group":1,"topk_group":1,"norm_topk_prob":false,"model_type":"kimi_k2"}""")]
    [InlineData(V3, """{"attention_bias":true,"n_shared_experts":3,"num_attention_heads":2}""")]
    [InlineData(V3, "{" + Yarn + ""","mscale":1.0,"mscale_all_dim":1.0}}""")]
    [InlineData(V3, "{" + Yarn + ""","attention_factor":1.3,"truncate":false}}""")]
    [InlineData(V3, """{"rope_scaling":{"rope_type":"linear","factor":2.0}}""")]
    public void Prefill_OtherShapesAndSwitches_MatchesTheScalarReference(string config, string changes) =>
        AssertMatches(config, changes, null);

    [Theory]
    [InlineData(V2, "{}")]
    [InlineData(V2, """{"attention_bias":true,"q_lora_rank":8,"n_shared_experts":null}""")]
    [InlineData(V2, """{"num_attention_heads":1,"v_head_dim":16,"first_k_dense_replace":2}""")]
    [InlineData(V3, """{"q_lora_rank":null,"rope_interleave":false}""")]
    [InlineData(V3, """{"n_group":1,"topk_group":1,"norm_topk_prob":false,"model_type":"kimi_k2"}""")]
    [InlineData(V3, "{" + Yarn + ""","attention_factor":1.3,"truncate":false}}""")]
    public void Prefill_OtherShapesOnADevice_MatchesTheScalarReference(string config, string changes) =>
        AssertMatches(config, changes, new DevicePlacement(NativeLibraryUnderTest.Require()));

    private static void AssertMatches(string config, string changes, DevicePlacement? placement)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(config)!;
        VariantCheck.Apply(json, changes);
        MlaSpec mla = Mla(json);
        using RandomCheckpoint checkpoint = new(json, seed: 5);
        NaiveDeepSeek reference = new(checkpoint, mla, Scale(mla));
        reference.AddWeights();
        checkpoint.Save();
        using TestModel model = TestModel.Load(checkpoint.Folder, threads: 2, placement: placement);
        int[] tokens = [.. Enumerable.Range(0, 26).Select(i => i * i % 37)];

        float[] logits = model.Prefill(tokens, tokens[3..9]);

        int first = 26 * 37;
        NaiveMath.AssertClose(reference.Logits(tokens), logits[..first]);
        NaiveMath.AssertClose(reference.Logits(tokens[3..9]), logits[first..]);
        Assert.Equal(logits[..first], model.Chunked(tokens, 1));
    }

    [Fact]
    public unsafe void Forward_InBlocksOfAnyRows_GivesTheSameBits()
    {
        const int Rows = 11, Hidden = 48;
        using ModelFolder folder = ModelFolder.Open(Golden.Folder("deepseek_v2"));
        using ModelMemory memory = new(folder);
        LayerBuilder builder = new(new WeightBinder(folder.Checkpoint, folder.Config, memory));
        MlaSpec spec = (MlaSpec)FamilyRegistry.Describe(folder.Config).Decoder.Blocks[1].Sublayers[0].Layer;
        using WorkerPool pool = new(2);
        float[][] results = Array.ConvertAll([1L, 1500, 1L << 30], floats =>
        {
            MlaSpec blocked = spec with { BlockFloats = floats };
            using Workspace workspace = new(blocked.ScratchFloats(Rows, 16, pool.Threads));
            Layer layer = builder.Build(blocked);
            using NativeFloats x = new([.. Enumerable.Range(0, Rows * Hidden).Select(i => MathF.Sin(i))]);
            using NativeFloats y = new(Rows * Hidden);
            ForwardContext context = new(pool, workspace);
            LayerState[] states = [.. builder.Stateful.Select(other => other.CreateState(16)!)];
            using SequenceState first = new(states, 16);
            context.Batch.Add(first, Rows);
            layer.Forward(context, x.Pointer, y.Pointer);
            return y.Span.ToArray();
        });

        Assert.Equal(results[2], results[0]);
        Assert.Equal(results[2], results[1]);
    }

    [Fact]
    public void Describe_QueryRankAbsentOrNull_AreTwoThings()
    {
        JsonObject config = (JsonObject)JsonNode.Parse(V3)!;
        config.Remove("q_lora_rank");
        Assert.Equal(1536, Mla(config).QueryDown!.Outputs);
        config["q_lora_rank"] = null;
        Assert.Null(Mla(config).QueryDown);
    }

    [Theory]
    [InlineData(V2, "topk_method", "noaux_tc")]
    [InlineData(V2, "scoring_func", "sigmoid")]
    [InlineData(V3, "topk_method", "greedy")]
    [InlineData(V3, "scoring_func", "softmax")]
    public void Describe_AnotherRouter_IsRefusedByName(string config, string key, string value)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(config)!;
        json[key] = value;

        var error = Assert.Throws<MoeUnsupportedException>(() => Describe(json));

        Assert.Contains(key, error.Message, StringComparison.Ordinal);
        Assert.Contains(value, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("n_group", "3")]
    [InlineData("topk_group", "5")]
    [InlineData("num_experts_per_tok", "9")]
    [InlineData("qk_rope_head_dim", "7")]
    [InlineData("kv_lora_rank", "0")]
    [InlineData("v_head_dim", "-1")]
    [InlineData("n_routed_experts", "0")]
    public void Describe_NumbersThatCannotBe_AreFormatErrors(string key, string value)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(V3)!;
        json[key] = JsonNode.Parse(value);

        Assert.Throws<MoeFormatException>(() => Describe(json));
    }

    private static double Scale(MlaSpec mla) => mla.Rope.ScoreFactor / Math.Sqrt(mla.NopeDim + mla.RopeDim);

    private static MlaSpec Mla(JsonObject config) =>
        Assert.IsType<MlaSpec>(Describe(config).Decoder.Blocks[0].Sublayers[0].Layer);

    private static ModelDescription Describe(JsonObject config) =>
        FamilyRegistry.Describe(ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(config.ToJsonString())));
}
