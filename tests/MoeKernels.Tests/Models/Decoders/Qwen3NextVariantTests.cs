using System.Text;
using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Models.KvCache;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>Qwen3-Next of other shapes and switches than the reference files, against a scalar reference.</summary>
public sealed class Qwen3NextVariantTests
{
    private const int Vocabulary = 41;

    private const string Base =
        """
        {"model_type":"qwen3_next","vocab_size":41,"hidden_size":20,"num_hidden_layers":2,"num_attention_heads":3,
         "num_key_value_heads":1,"head_dim":12,"intermediate_size":18,"moe_intermediate_size":9,
         "shared_expert_intermediate_size":11,"num_experts":5,"num_experts_per_tok":2,"norm_topk_prob":true,
         "attention_bias":false,"rms_norm_eps":1e-6,"max_position_embeddings":64,"full_attention_interval":2,
         "rope_theta":10000.0,"partial_rotary_factor":0.5,"linear_conv_kernel_dim":4,"linear_key_head_dim":7,
         "linear_num_key_heads":2,"linear_num_value_heads":6,"linear_value_head_dim":5}
        """;

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"linear_conv_kernel_dim":2,"linear_num_value_heads":2,"linear_value_head_dim":33}""")]
    [InlineData("""{"linear_conv_kernel_dim":3,"linear_key_head_dim":40,"linear_num_key_heads":1}""")]
    [InlineData("""{"linear_conv_kernel_dim":1,"linear_value_head_dim":80,"linear_num_value_heads":2}""")]
    [InlineData("""{"attention_bias":true,"layer_types":["full_attention","linear_attention"]}""")]
    [InlineData("""{"mlp_only_layers":[0],"num_key_value_heads":3,"norm_topk_prob":false}""")]
    [InlineData("""{"decoder_sparse_step":2,"rope_parameters":{"rope_theta":1e6,"partial_rotary_factor":1.0}}""")]
    public void Prefill_OtherShapesAndSwitches_MatchesTheScalarReference(string changes)
    {
        using RandomCheckpoint checkpoint = new(Config(changes), seed: 3);
        NaiveQwen3Next reference = Reference(checkpoint);
        reference.AddWeights();
        checkpoint.Save();
        using TestModel model = TestModel.Load(checkpoint.Folder, threads: 2);
        int[] tokens = [.. Enumerable.Range(0, 19).Select(i => i * i % Vocabulary)];

        float[] logits = model.Prefill(tokens, tokens[2..5]);

        int first = tokens.Length * Vocabulary;
        NaiveMath.AssertClose(reference.Logits(tokens), logits[..first]);
        NaiveMath.AssertClose(reference.Logits(tokens[2..5]), logits[first..]);
        Assert.Equal(logits[..first], model.Chunked(tokens, 1));
        Assert.Equal(logits[..first], model.Chunked(tokens, 2, 1, 5));
    }

    [Fact]
    public void Forward_AfterACancelledCall_ComputesAsIfItHadNotHappened()
    {
        using TestModel model = TestModel.Load(Golden.Folder("qwen3_next"));
        using SequenceState untouched = model.NewSequence();
        using SequenceState cancelled = model.NewSequence();
        int[] prompt = [1, 2, 3, 4, 5, 6], next = [7, 8];
        model.Forward([untouched], [prompt]);
        model.Forward([cancelled], [prompt]);
        using CancellationTokenSource source = new();
        model.Forwarding.Cancellation = source.Token;
        model.Forwarding.Trace = new CancelAt(source, "hidden.2");

        Assert.ThrowsAny<OperationCanceledException>(() => model.Forward([cancelled], [[9, 10, 11]]));

        model.Forwarding.Cancellation = CancellationToken.None;
        model.Forwarding.Trace = null;
        Assert.Equal(model.Forward([untouched], [next]), model.Forward([cancelled], [next]));
    }

    [Fact]
    public void Rewind_OtherThanToTheStart_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("qwen3_next"));
        using SequenceState sequence = model.NewSequence();
        float[] expected = model.Forward([sequence], [[1, 2, 3]]);

        Assert.False(sequence.CanRewind);
        Assert.Throws<InvalidOperationException>(() => sequence.Rewind(2));
        sequence.Rewind(0);
        Assert.Equal(expected, model.Forward([sequence], [[1, 2, 3]]));
    }

    [Theory]
    [InlineData("""{"linear_num_key_heads":4}""")]
    [InlineData("""{"linear_conv_kernel_dim":0}""")]
    [InlineData("""{"linear_conv_kernel_dim":1000000}""")]
    [InlineData("""{"linear_key_head_dim":-3}""")]
    [InlineData("""{"layer_types":["full_attention"]}""")]
    [InlineData("""{"full_attention_interval":0}""")]
    public void Describe_NumbersThatCannotBe_AreFormatErrors(string changes)
    {
        Assert.Throws<MoeFormatException>(() => Describe(Config(changes)));
    }

    [Fact]
    public void Describe_UnknownLayerType_IsRefusedByName()
    {
        JsonObject config = Config("""{"layer_types":["linear_attention","mamba"]}""");

        var error = Assert.Throws<MoeUnsupportedException>(() => Describe(config));

        Assert.Contains("mamba", error.Message, StringComparison.Ordinal);
    }

    private static NaiveQwen3Next Reference(RandomCheckpoint checkpoint)
    {
        BlockSpec[] blocks = [.. Describe(checkpoint.Config).Decoder.Blocks];
        AttentionSpec attention = blocks.Select(block => block.Sublayers[0].Layer).OfType<AttentionSpec>().Single();
        JsonObject config = checkpoint.Config;
        int step = (int?)config["decoder_sparse_step"] ?? 1;
        int[] dense = [.. config["mlp_only_layers"]?.AsArray().Select(layer => (int)layer!) ?? []];
        string[]? types = config["layer_types"]?.AsArray().Select(type => (string)type!).ToArray();
        return new NaiveQwen3Next(
            checkpoint,
            attention.Rope!,
            layer => types is null ? (layer + 1) % 2 == 0 : types[layer] == "full_attention",
            layer => (layer + 1) % step == 0 && !dense.Contains(layer));
    }

    private static JsonObject Config(string changes)
    {
        JsonObject config = (JsonObject)JsonNode.Parse(Base)!;
        VariantCheck.Apply(config, changes);
        return config;
    }

    private static ModelDescription Describe(JsonObject config) =>
        FamilyRegistry.Describe(ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(config.ToJsonString())));
}
