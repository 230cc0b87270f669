using System.Text;
using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>Standard decoders of other shapes and switches than the reference files, against a scalar
/// reference.</summary>
public sealed class DecoderVariantTests
{
    private const string Sizes =
        """
        {"vocab_size":37,"hidden_size":24,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,
         "intermediate_size":20,"moe_intermediate_size":9,"num_experts":6,"num_experts_per_tok":2,
         "rms_norm_eps":1e-5,"max_position_embeddings":64,"rope_theta":10000.0
        """;

    private const string Glm =
        """
        "n_routed_experts":8,"num_experts":null,"n_shared_experts":2
        """;

    [Theory]
    [InlineData("llama", "")]
    [InlineData("llama", "\"attention_bias\":true,\"mlp_bias\":true,\"num_key_value_heads\":null")]
    [InlineData("llama", "\"hidden_act\":\"gelu_pytorch_tanh\",\"tie_word_embeddings\":true,\"head_dim\":10")]
    [InlineData("llama", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":3.0},\"num_key_value_heads\":1")]
    [InlineData("mixtral", "\"sliding_window\":5,\"hidden_act\":\"relu\"")]
    [InlineData("mixtral", "\"num_experts_per_tok\":1,\"head_dim\":18,\"num_key_value_heads\":4")]
    [InlineData("qwen2_moe", "\"shared_expert_intermediate_size\":17,\"norm_topk_prob\":true,\"qkv_bias\":false")]
    [InlineData("qwen2_moe", "\"shared_expert_intermediate_size\":16,\"use_sliding_window\":true,\"sliding_window\":4,"
        + "\"max_window_layers\":2,\"decoder_sparse_step\":2")]
    [InlineData("qwen3_moe", "\"attention_bias\":true,\"head_dim\":14,\"mlp_only_layers\":[0,2]")]
    [InlineData("qwen3_moe", "\"use_sliding_window\":true,\"sliding_window\":6,\"norm_topk_prob\":true")]
    [InlineData("olmoe", "\"attention_bias\":true,\"clip_qkv\":0.7")]
    [InlineData("olmoe", "\"norm_topk_prob\":true,\"num_key_value_heads\":4")]
    [InlineData("glm4_moe", Glm + ",\"first_k_dense_replace\":1,\"use_qk_norm\":true,\"n_group\":4,\"topk_group\":2,"
        + "\"routed_scaling_factor\":2.5,\"head_dim\":12")]
    [InlineData("glm4_moe", Glm + ",\"attention_bias\":true,\"norm_topk_prob\":false,\"first_k_dense_replace\":0,"
        + "\"partial_rotary_factor\":1.0")]
    [InlineData("minimax_m2", "\"head_dim\":8,\"rotary_dim\":4,\"num_experts_per_tok\":5")]
    public void Prefill_OtherShapesAndSwitches_MatchesTheScalarReference(string family, string changes)
    {
        JsonObject json = (JsonObject)JsonNode.Parse(Sizes + $$""","model_type":"{{family}}"}""")!;
        VariantCheck.Apply(json, $"{{{changes}}}");
        using RandomCheckpoint checkpoint = new(json, seed: 5);
        NaiveDecoder reference = new(checkpoint, Rope(json));
        reference.AddWeights();
        checkpoint.Save();
        using TestModel model = TestModel.Load(checkpoint.Folder, threads: 2);
        int[] tokens = [.. Enumerable.Range(0, 26).Select(i => i * i % 37)];

        float[] logits = model.Prefill(tokens, tokens[3..9]);

        int first = 26 * 37;
        NaiveMath.AssertClose(reference.Logits(tokens), logits[..first]);
        NaiveMath.AssertClose(reference.Logits(tokens[3..9]), logits[first..]);
        Assert.Equal(logits[..first], model.Chunked(tokens, 1));
    }

    private static RopeSpec Rope(JsonObject config)
    {
        ModelDescription model = FamilyRegistry.Describe(
            ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(config.ToJsonString())));
        return Assert.IsType<AttentionSpec>(model.Decoder.Blocks[0].Sublayers[0].Layer).Rope!;
    }
}
