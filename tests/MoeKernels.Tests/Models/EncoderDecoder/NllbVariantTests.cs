using System.Text.Json.Nodes;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>NLLB-MoE of other sizes and switches than the reference folder, against a scalar reference.</summary>
public class NllbVariantTests
{
    private const string Base = """
        {
          "model_type": "nllb-moe", "d_model": 24, "vocab_size": 40, "num_experts": 5, "dtype": "float32",
          "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 3, "decoder_attention_heads": 4,
          "encoder_ffn_dim": 20, "decoder_ffn_dim": 37, "encoder_sparse_step": 1, "decoder_sparse_step": 2,
          "activation_function": "relu", "scale_embedding": true, "pad_token_id": 1, "decoder_start_token_id": 2,
          "max_position_embeddings": 64, "moe_token_dropout": 0.2, "moe_eval_capacity_token_fraction": 1.0,
          "batch_prioritized_routing": false, "normalize_router_prob_before_dropping": false, "router_bias": false,
          "second_expert_policy": "all", "tie_word_embeddings": true
        }
        """;

    public static TheoryData<string> Variants { get; } =
    [
        "{}",
        """{ "tie_word_embeddings": false }""",
        """{ "scale_embedding": false, "pad_token_id": 3 }""",
        """{ "moe_eval_capacity_token_fraction": 0.2 }""",
        """{ "moe_eval_capacity_token_fraction": 0.15, "batch_prioritized_routing": true }""",
        """{ "moe_eval_capacity_token_fraction": 0.2, "normalize_router_prob_before_dropping": true }""",
        """{ "moe_eval_capacity_token_fraction": 0.01, "num_experts": 2 }""",
        """{ "router_ignore_padding_tokens": true }""",
        """{ "router_bias": true, "moe_token_dropout": 0.0 }""",
        """{ "activation_function": "gelu", "moe_token_dropout": 0.5 }""",
        """{ "activation_function": "silu", "encoder_sparse_step": 0, "decoder_sparse_step": 0 }""",
        """{ "d_model": 12, "encoder_attention_heads": 1, "decoder_attention_heads": 12 }""",
        """{ "encoder_layers": 4, "encoder_sparse_step": 4 }""",
    ];

    [Theory]
    [MemberData(nameof(Variants))]
    public void Forward_Variant_EqualsTheReference(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 11);
        VariantCheck.Run(checkpoint, new ReferenceNllb(checkpoint.Config, name => checkpoint[name]));
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Forward_VariantOnADevice_EqualsTheReference(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 11);
        VariantCheck.RunOnADevice(checkpoint, new ReferenceNllb(checkpoint.Config, name => checkpoint[name]));
    }

    [Fact]
    public void Forward_NamesWithoutPrefix_EqualsTheReference()
    {
        using RandomCheckpoint checkpoint = Create("{}", seed: 11);
        checkpoint.Save(name => name.Replace("model.", string.Empty, StringComparison.Ordinal));
        VariantCheck.Run(checkpoint, new ReferenceNllb(checkpoint.Config, name => checkpoint[name]));
    }

    [Theory]
    [InlineData("""{ "second_expert_policy": "sampling" }""")]
    [InlineData("""{ "router_dtype": "float16" }""")]
    public void Load_UnknownFeature_IsUnsupported(string changes)
    {
        using RandomCheckpoint checkpoint = Create(changes, seed: 11);
        Assert.Throws<MoeUnsupportedException>(() => TestModel.Load(checkpoint.Folder));
    }

    [Theory]
    [InlineData("""{ "decoder_attention_heads": 7 }""")]
    [InlineData("""{ "num_experts": 6 }""")]
    [InlineData("""{ "encoder_layers": 3 }""")]
    public void Load_WrongNumber_IsRefused(string changes)
    {
        using RandomCheckpoint checkpoint = Create("{}", seed: 11);
        VariantCheck.Apply(checkpoint.Config, changes);
        checkpoint.Save();
        Assert.Throws<MoeFormatException>(() => TestModel.Load(checkpoint.Folder));
    }

    [Fact]
    public void Encode_RouterMeetsNaN_SaysWhere()
    {
        using RandomCheckpoint checkpoint = Create("{}", seed: 11);
        checkpoint["model.encoder.layers.1.ffn.router.classifier.weight"][2][3] = double.NaN;
        checkpoint.Save();
        using TestModel model = TestModel.Load(checkpoint.Folder);
        using SequenceState state = model.NewSequence();
        var error = Assert.Throws<MoeNonFiniteException>(() => model.Encode([state], [[5, 6]], [[1, 1]]));
        Assert.Contains("model.encoder.layers.1.ffn.router", error.Message, StringComparison.Ordinal);
    }

    private static RandomCheckpoint Create(string changes, int seed)
    {
        var config = (JsonObject)JsonNode.Parse(Base)!;
        VariantCheck.Apply(config, changes);
        RandomCheckpoint checkpoint = new(config, seed);
        int hidden = (int)config["d_model"]!, vocabulary = (int)config["vocab_size"]!;
        if ((bool)config["tie_word_embeddings"]!)
        {
            checkpoint.Matrix("model.shared.weight", vocabulary, hidden);
        }
        else
        {
            checkpoint.Matrix("model.encoder.embed_tokens.weight", vocabulary, hidden);
            checkpoint.Matrix("model.decoder.embed_tokens.weight", vocabulary, hidden);
            checkpoint.Matrix("lm_head.weight", vocabulary, hidden);
        }

        AddStack(checkpoint, "encoder");
        AddStack(checkpoint, "decoder");
        checkpoint.Save();
        return checkpoint;
    }

    private static void AddStack(RandomCheckpoint checkpoint, string side)
    {
        JsonObject config = checkpoint.Config;
        int hidden = (int)config["d_model"]!, step = (int)config[$"{side}_sparse_step"]!;
        AddNorm(checkpoint, $"model.{side}.layer_norm", hidden);
        for (int i = 0; i < (int)config[$"{side}_layers"]!; i++)
        {
            string layer = $"model.{side}.layers.{i}";
            foreach (string attention in side == "decoder" ? ["self_attn", "cross_attention"] : new[] { "self_attn" })
            {
                AddNorm(checkpoint, $"{layer}.{attention}_layer_norm", hidden);
                foreach (string projection in new[] { "q_proj", "k_proj", "v_proj", "out_proj" })
                    checkpoint.Linear($"{layer}.{attention}.{projection}", hidden, hidden);
            }

            AddNorm(checkpoint, $"{layer}.ff_layer_norm", hidden);
            int width = (int)config[$"{side}_ffn_dim"]!;
            if (step > 0 && (i + 1) % step == 0)
                AddExperts(checkpoint, $"{layer}.ffn", hidden, width);
            else
                AddNetwork(checkpoint, $"{layer}.ffn", hidden, width);
        }
    }

    private static void AddNorm(RandomCheckpoint checkpoint, string module, int hidden)
    {
        checkpoint.Vector($"{module}.weight", hidden, 1);
        checkpoint.Vector($"{module}.bias", hidden, 0);
    }

    private static void AddExperts(RandomCheckpoint checkpoint, string ffn, int hidden, int width)
    {
        int experts = (int)checkpoint.Config["num_experts"]!;
        checkpoint.Matrix($"{ffn}.router.classifier.weight", experts, hidden, 2);
        if ((bool)checkpoint.Config["router_bias"]!)
            checkpoint.Vector($"{ffn}.router.classifier.bias", experts, 0);
        for (int e = 0; e < experts; e++)
            AddNetwork(checkpoint, $"{ffn}.experts.expert_{e}", hidden, width);
    }

    private static void AddNetwork(RandomCheckpoint checkpoint, string module, int hidden, int width)
    {
        checkpoint.Linear($"{module}.fc1", width, hidden);
        checkpoint.Linear($"{module}.fc2", hidden, width);
    }
}
