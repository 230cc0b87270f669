namespace MoeKernels.Tests.Models.Families;

/// <summary>The tensors asked for carry the names and shapes of the released files.</summary>
public sealed class ReleasedNameTests
{
    [Theory]
    [InlineData("mixtral-8x7b",
        "model.layers.31.block_sparse_moe.gate.weight 8,4096",
        "model.layers.31.block_sparse_moe.experts.7.w1.weight 14336,4096",
        "model.layers.31.block_sparse_moe.experts.7.w2.weight 4096,14336",
        "model.layers.31.block_sparse_moe.experts.7.w3.weight 14336,4096",
        "model.layers.0.self_attn.k_proj.weight 1024,4096",
        "model.layers.0.post_attention_layernorm.weight 4096",
        "lm_head.weight 32000,4096")]
    [InlineData("qwen1.5-moe-a2.7b",
        "model.layers.23.mlp.gate.weight 60,2048",
        "model.layers.23.mlp.experts.59.gate_proj.weight 1408,2048",
        "model.layers.23.mlp.experts.59.down_proj.weight 2048,1408",
        "model.layers.23.mlp.shared_expert.up_proj.weight 5632,2048",
        "model.layers.23.mlp.shared_expert_gate.weight 1,2048",
        "model.layers.0.self_attn.q_proj.bias 2048")]
    [InlineData("qwen3-30b-a3b",
        "model.layers.47.mlp.gate.weight 128,2048",
        "model.layers.47.mlp.experts.127.up_proj.weight 768,2048",
        "model.layers.47.self_attn.q_proj.weight 4096,2048",
        "model.layers.47.self_attn.q_norm.weight 128",
        "model.layers.47.self_attn.k_norm.weight 128")]
    [InlineData("olmoe-1b-7b",
        "model.layers.15.mlp.experts.63.down_proj.weight 2048,1024",
        "model.layers.15.self_attn.q_norm.weight 2048",
        "model.layers.15.self_attn.k_norm.weight 2048")]
    [InlineData("deepseek-v2-lite",
        "model.layers.0.mlp.gate_proj.weight 10944,2048",
        "model.layers.26.mlp.gate.weight 64,2048",
        "model.layers.26.mlp.experts.63.gate_proj.weight 1408,2048",
        "model.layers.26.mlp.shared_experts.gate_proj.weight 2816,2048",
        "model.layers.26.mlp.shared_experts.down_proj.weight 2048,2816",
        "model.layers.26.self_attn.q_proj.weight 3072,2048",
        "model.layers.26.self_attn.kv_a_proj_with_mqa.weight 576,2048",
        "model.layers.26.self_attn.kv_a_layernorm.weight 512",
        "model.layers.26.self_attn.kv_b_proj.weight 4096,512",
        "model.layers.26.self_attn.o_proj.weight 2048,2048")]
    [InlineData("deepseek-v3",
        "model.layers.2.mlp.down_proj.weight 7168,18432",
        "model.layers.3.mlp.gate.weight 256,7168",
        "model.layers.3.mlp.gate.e_score_correction_bias 256",
        "model.layers.60.mlp.experts.255.up_proj.weight 2048,7168",
        "model.layers.60.mlp.shared_experts.up_proj.weight 2048,7168",
        "model.layers.60.self_attn.q_a_proj.weight 1536,7168",
        "model.layers.60.self_attn.q_a_layernorm.weight 1536",
        "model.layers.60.self_attn.q_b_proj.weight 24576,1536",
        "model.layers.60.self_attn.kv_b_proj.weight 32768,512",
        "model.layers.60.self_attn.o_proj.weight 7168,16384")]
    [InlineData("kimi-k2",
        "model.layers.0.mlp.up_proj.weight 18432,7168",
        "model.layers.60.mlp.gate.e_score_correction_bias 384",
        "model.layers.60.mlp.experts.383.down_proj.weight 7168,2048",
        "model.layers.60.self_attn.q_b_proj.weight 12288,1536")]
    [InlineData("gpt-oss-20b",
        "model.layers.23.mlp.router.weight 32,2880",
        "model.layers.23.mlp.router.bias 32",
        "model.layers.23.mlp.experts.gate_up_proj 32,2880,5760",
        "model.layers.23.mlp.experts.gate_up_proj_bias 32,5760",
        "model.layers.23.mlp.experts.down_proj 32,2880,2880",
        "model.layers.23.mlp.experts.down_proj_bias 32,2880",
        "model.layers.23.self_attn.sinks 64",
        "model.layers.23.self_attn.o_proj.bias 2880")]
    [InlineData("llama-4-scout",
        "language_model.model.embed_tokens.weight 202048,5120",
        "language_model.model.layers.0.feed_forward.router.weight 16,5120",
        "language_model.model.layers.0.feed_forward.experts.gate_up_proj 16,5120,16384",
        "language_model.model.layers.0.feed_forward.experts.down_proj 16,8192,5120",
        "language_model.model.layers.0.feed_forward.shared_expert.gate_proj.weight 8192,5120",
        "language_model.model.norm.weight 5120",
        "language_model.lm_head.weight 202048,5120")]
    [InlineData("llama-4-maverick",
        "language_model.model.layers.0.feed_forward.gate_proj.weight 16384,5120",
        "language_model.model.layers.1.feed_forward.experts.gate_up_proj 128,5120,16384")]
    [InlineData("glm-4.5",
        "model.layers.2.mlp.gate_proj.weight 12288,5120",
        "model.layers.3.mlp.gate.e_score_correction_bias 160",
        "model.layers.91.mlp.shared_experts.down_proj.weight 5120,1536",
        "model.layers.91.self_attn.q_proj.weight 12288,5120",
        "model.layers.91.self_attn.v_proj.bias 1024",
        "model.layers.91.self_attn.k_norm.weight 128")]
    [InlineData("minimax-m2",
        "model.layers.61.block_sparse_moe.gate.weight 256,3072",
        "model.layers.61.block_sparse_moe.e_score_correction_bias 256",
        "model.layers.61.block_sparse_moe.experts.255.w2.weight 3072,1536",
        "model.layers.61.self_attn.q_norm.weight 6144",
        "model.layers.61.self_attn.k_norm.weight 1024")]
    [InlineData("qwen3-next-80b-a3b",
        "model.layers.0.linear_attn.in_proj_qkvz.weight 12288,2048",
        "model.layers.0.linear_attn.in_proj_ba.weight 64,2048",
        "model.layers.0.linear_attn.conv1d.weight 8192,1,4",
        "model.layers.0.linear_attn.dt_bias 32",
        "model.layers.0.linear_attn.A_log 32",
        "model.layers.0.linear_attn.norm.weight 128",
        "model.layers.0.linear_attn.out_proj.weight 2048,4096",
        "model.layers.3.self_attn.q_proj.weight 8192,2048",
        "model.layers.3.mlp.experts.511.gate_proj.weight 512,2048",
        "model.layers.3.mlp.shared_expert_gate.weight 1,2048")]
    [InlineData("pangu-pro-moe",
        "model.layers.47.mlp.gate.weight 64,5120",
        "model.layers.47.mlp.router_scale 64",
        "model.layers.47.mlp.experts.63.up_proj.weight 1344,5120",
        "model.layers.47.mlp.shared_expert.down_proj.weight 5120,5376",
        "model.layers.47.self_attn.o_proj.bias 5120")]
    [InlineData("switch-base-8",
        "shared.weight 32128,768",
        "encoder.block.1.layer.1.mlp.router.classifier.weight 8,768",
        "encoder.block.1.layer.1.mlp.experts.expert_7.wi.weight 3072,768",
        "decoder.block.11.layer.2.mlp.experts.expert_7.wo.weight 768,3072",
        "decoder.block.0.layer.2.mlp.wi.weight 3072,768",
        "decoder.block.0.layer.1.EncDecAttention.k.weight 768,768",
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight 32,12",
        "encoder.final_layer_norm.weight 768")]
    [InlineData("nllb-moe-54b",
        "model.shared.weight 256206,2048",
        "model.encoder.layers.3.ffn.router.classifier.weight 128,2048",
        "model.encoder.layers.3.ffn.experts.expert_127.fc1.weight 8192,2048",
        "model.decoder.layers.23.ffn.experts.expert_127.fc2.bias 2048",
        "model.decoder.layers.0.ffn.fc1.weight 8192,2048",
        "model.decoder.layers.0.cross_attention.out_proj.bias 2048",
        "model.decoder.layers.0.ff_layer_norm.weight 2048",
        "model.encoder.layer_norm.bias 2048")]
    public void Describe_ReleasedConfig_AsksForTheFilesTensors(string name, params string[] tensors)
    {
        IReadOnlyDictionary<string, long[]> asked = new ReleasedModel(name).Tensors;
        foreach (string tensor in tensors)
        {
            string[] parts = tensor.Split(' ');
            Assert.True(asked.TryGetValue(parts[0], out long[]? shape), parts[0]);
            Assert.Equal(parts[1], string.Join(',', shape!));
        }
    }

    /// <summary>Layers for multi-token prediction lie behind the last one and are not asked for.</summary>
    [Theory]
    [InlineData("deepseek-v3", "model.layers.61.")]
    [InlineData("glm-4.5", "model.layers.92.")]
    [InlineData("glm-4.5-air", "model.layers.46.")]
    [InlineData("minimax-m2", "model.layers.62.")]
    [InlineData("qwen3-next-80b-a3b", "mtp.")]
    public void Describe_ReleasedConfig_LeavesPredictionLayersAlone(string name, string prefix)
    {
        Assert.DoesNotContain(
            new ReleasedModel(name).Tensors.Keys, tensor => tensor.StartsWith(prefix, StringComparison.Ordinal));
    }
}
