using System.Text.Json.Nodes;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>Switch Transformers of other sizes and switches than the reference folders, by a scalar
/// reference.</summary>
public class SwitchVariantTests
{
    private const string Base = """
        {
          "model_type": "switch_transformers", "d_model": 20, "d_kv": 6, "d_ff": 28, "num_heads": 3, "vocab_size": 40,
          "num_layers": 3, "num_decoder_layers": 2, "encoder_sparse_step": 2, "decoder_sparse_step": 1,
          "num_experts": 5, "expert_capacity": 64, "relative_attention_num_buckets": 8,
          "relative_attention_max_distance": 20,
          "layer_norm_epsilon": 1e-6, "dense_act_fn": "relu", "router_bias": false, "tie_word_embeddings": true,
          "pad_token_id": 0, "decoder_start_token_id": 0
        }
        """;

    public static TheoryData<string> Variants { get; } =
    [
        "{}",
        """{ "tie_word_embeddings": false }""",
        """{ "relative_attention_num_buckets": 4, "relative_attention_max_distance": 3 }""",
        """{ "relative_attention_num_buckets": 32, "relative_attention_max_distance": 128 }""",
        """{ "relative_attention_num_buckets": 7, "relative_attention_max_distance": 9 }""",
        """{ "router_bias": true, "num_experts": 3, "expert_capacity": 2 }""",
        """{ "expert_capacity": 1 }""",
        """{ "encoder_sparse_step": 0, "decoder_sparse_step": 0 }""",
        """{ "encoder_sparse_step": 3, "decoder_sparse_step": 2 }""",
        """{ "dense_act_fn": "gelu" }""",
        """{ "dense_act_fn": "silu" }""",
        """{ "dense_act_fn": "gated-gelu" }""",
        """{ "d_model": 17, "d_kv": 16, "num_heads": 1, "d_ff": 33, "num_experts": 1 }""",
        """{ "num_layers": 1, "num_decoder_layers": 4, "decoder_sparse_step": 3 }""",
    ];

    [Theory]
    [MemberData(nameof(Variants))]
    public void Forward_Variant_EqualsTheReference(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 5);
        VariantCheck.Run(checkpoint, new ReferenceSwitch(checkpoint.Config, name => checkpoint[name]));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Forward_VariantOnADevice_EqualsTheReference(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 5);
        VariantCheck.RunOnADevice(checkpoint, new ReferenceSwitch(checkpoint.Config, name => checkpoint[name]));
    }

    [Theory]
    [InlineData("""{ "d_kv": 513, "num_heads": 1 }""", "attention with wide heads")]
    [InlineData("""{ "num_experts": 1025, "d_model": 4, "d_ff": 2 }""", "routers over very many experts")]
    public void Forward_BeyondTheLimitsOfADevice_RunsOnTheHost(string changes, string step)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 5);
        ReferenceSwitch reference = new(checkpoint.Config, name => checkpoint[name]);
        VariantCheck.RunOnADevice(checkpoint, reference, step);
    }

    /// <summary>Files from before the embeddings could differ hold one table even where the head is its own.</summary>
    [Fact]
    public void Forward_UntiedFileWithOneEmbedding_UsesItForBothStacks()
    {
        using RandomCheckpoint checkpoint = Create("""{ "tie_word_embeddings": false }""", seed: 5);
        checkpoint.Save(name => name.EndsWith("embed_tokens.weight", StringComparison.Ordinal) ? null : name);
        VariantCheck.Run(checkpoint, new ReferenceSwitch(checkpoint.Config, name => checkpoint[
            name.EndsWith("embed_tokens.weight", StringComparison.Ordinal) ? "shared.weight" : name]));
    }

    [Theory]
    [InlineData("""{ "router_dtype": "bfloat16" }""")]
    [InlineData("""{ "dense_act_fn": "swoosh" }""")]
    public void Load_UnknownFeature_IsUnsupported(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 5);
        Assert.Throws<MoeUnsupportedException>(() => TestModel.Load(checkpoint.Folder));
    }

    [Theory]
    [InlineData("""{ "d_model": 0 }""")]
    [InlineData("""{ "expert_capacity": 0 }""")]
    [InlineData("""{ "num_sparse_encoder_layers": -1 }""")]
    [InlineData("""{ "relative_attention_num_buckets": 3 }""")]
    [InlineData("""{ "relative_attention_max_distance": 2 }""")]
    [InlineData("""{ "decoder_start_token_id": 40 }""")]
    [InlineData("""{ "d_ff": 29 }""")]
    public void Load_WrongNumber_IsRefused(string changes)
    {
        using RandomCheckpoint checkpoint = Create("{}", seed: 5);
        VariantCheck.Apply(checkpoint.Config, changes);
        checkpoint.Save();
        Assert.Throws<MoeFormatException>(() => TestModel.Load(checkpoint.Folder));
    }

    private static RandomCheckpoint Create(string changes, int seed)
    {
        var config = (JsonObject)JsonNode.Parse(Base)!;
        VariantCheck.Apply(config, changes);
        RandomCheckpoint checkpoint = new(config, seed);
        int hidden = (int)config["d_model"]!, vocabulary = (int)config["vocab_size"]!;
        bool tied = (bool)config["tie_word_embeddings"]!;
        checkpoint.Matrix("shared.weight", vocabulary, hidden, 2);
        if (!tied)
        {
            checkpoint.Matrix("encoder.embed_tokens.weight", vocabulary, hidden, 2);
            checkpoint.Matrix("decoder.embed_tokens.weight", vocabulary, hidden, 2);
            checkpoint.Matrix("lm_head.weight", vocabulary, hidden);
        }

        AddStack(checkpoint, "encoder", (int)config["num_layers"]!);
        AddStack(checkpoint, "decoder", (int)config["num_decoder_layers"]!);
        checkpoint.Save();
        return checkpoint;
    }

    private static void AddStack(RandomCheckpoint checkpoint, string side, int layers)
    {
        JsonObject config = checkpoint.Config;
        int hidden = (int)config["d_model"]!, heads = (int)config["num_heads"]!;
        int width = heads * (int)config["d_kv"]!, step = (int)config[$"{side}_sparse_step"]!;
        checkpoint.Matrix(
            $"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            (int)config["relative_attention_num_buckets"]!, heads, 2);
        checkpoint.Vector($"{side}.final_layer_norm.weight", hidden, 1);
        for (int i = 0; i < layers; i++)
        {
            string layer = $"{side}.block.{i}.layer";
            AddAttention(checkpoint, $"{layer}.0", "SelfAttention", hidden, width);
            if (side == "decoder")
                AddAttention(checkpoint, $"{layer}.1", "EncDecAttention", hidden, width);
            string network = $"{layer}.{(side == "decoder" ? 2 : 1)}";
            checkpoint.Vector($"{network}.layer_norm.weight", hidden, 1);
            if (step == 1 || (step > 0 && i % step == 1))
                AddExperts(checkpoint, $"{network}.mlp", hidden);
            else
                AddNetwork(checkpoint, $"{network}.mlp", hidden);
        }
    }

    private static void AddAttention(RandomCheckpoint checkpoint, string layer, string name, int hidden, int width)
    {
        checkpoint.Vector($"{layer}.layer_norm.weight", hidden, 1);
        foreach (char which in "qkv")
            checkpoint.Matrix($"{layer}.{name}.{which}.weight", width, hidden, 0.7);
        checkpoint.Matrix($"{layer}.{name}.o.weight", hidden, width);
    }

    private static void AddExperts(RandomCheckpoint checkpoint, string mlp, int hidden)
    {
        int experts = (int)checkpoint.Config["num_experts"]!;
        checkpoint.Matrix($"{mlp}.router.classifier.weight", experts, hidden, 3);
        if ((bool)checkpoint.Config["router_bias"]!)
            checkpoint.Vector($"{mlp}.router.classifier.bias", experts, 0);
        for (int e = 0; e < experts; e++)
            AddNetwork(checkpoint, $"{mlp}.experts.expert_{e}", hidden);
    }

    private static void AddNetwork(RandomCheckpoint checkpoint, string module, int hidden)
    {
        int width = (int)checkpoint.Config["d_ff"]!;
        string[] ups = (string)checkpoint.Config["dense_act_fn"]! == "gated-gelu" ? ["wi_0", "wi_1"] : ["wi"];
        foreach (string up in ups)
            checkpoint.Matrix($"{module}.{up}.weight", width, hidden, 1.5);
        checkpoint.Matrix($"{module}.wo.weight", hidden, width, 1.5);
    }
}
