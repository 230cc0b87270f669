using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Loading;

namespace MoeKernels.Tests.Models;

/// <summary>Wrong models and wrong calls: a typed error that names its cause, and everything stays usable.</summary>
public sealed class BadModelTests
{
    private const string Query = "model.layers.1.self_attn.q_proj.weight";
    private const string Router = "model.layers.1.block_sparse_moe.gate.weight";

    [Fact]
    public void Load_MissingTensor_NamesIt()
    {
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Tensors.Remove(Query);

        Assert.Equal(Query, Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save())).Item);
    }

    [Fact]
    public void Load_MissingExpert_NamesIt()
    {
        const string expert = "model.layers.2.block_sparse_moe.experts.7.w2.weight";
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Tensors.Remove(expert);

        Assert.Equal(expert, Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save())).Item);
    }

    [Fact]
    public void Load_WrongShape_NamesTensorAndBothShapes()
    {
        using ModelVariant variant = ModelVariant.Of("qwen2_moe");
        variant.Tensors[Query] = variant.Tensors["model.layers.1.self_attn.k_proj.weight"];

        var error = Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save()));
        Assert.Equal(Query, error.Item);
        Assert.Contains("[24, 48]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[48, 48]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_WrongDtype_NamesTensorAndType()
    {
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Tensors[Query] = variant.Tensors[Query] with { Type = ElementType.I16 };

        var error = Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save()));
        Assert.Equal(Query, error.Item);
        Assert.Contains("I16", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_FusedTensorOfNeitherShape_NamesIt()
    {
        using ModelVariant variant = ModelVariant.Of("mixtral-v5-layout");
        const string fused = "model.layers.0.mlp.experts.gate_up_proj";
        StoredTensor tensor = variant.Tensors[fused];
        variant.Tensors[fused] = tensor with { Shape = [tensor.Shape[0], tensor.Shape[1] / 2, tensor.Shape[2] * 2] };

        Assert.Equal(fused, Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save())).Item);
    }

    [Theory]
    [InlineData("model_type", "\"gpt2\"")]
    [InlineData("hidden_act", "\"tanh\"")]
    [InlineData("rope_scaling", """{ "rope_type": "longrope", "factor": 2.0 }""")]
    [InlineData("quantization_config", """{ "quant_method": "gptq", "bits": 4 }""")]
    public void Load_UnknownFeature_IsNamed(string key, string value)
    {
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Config[key] = JsonNode.Parse(value);

        var error = Assert.Throws<MoeUnsupportedException>(() => TestModel.Load(variant.Save()));
        Assert.Contains(key.Split('_')[0], error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("num_experts_per_tok", "9")]
    [InlineData("num_key_value_heads", "3")]
    [InlineData("hidden_size", "0")]
    [InlineData("num_hidden_layers", "2000000000")]
    [InlineData("vocab_size", "\"many\"")]
    [InlineData("num_attention_heads", null)]
    public void Load_ConfigThatMakesNoSense_NamesTheKey(string key, string? value)
    {
        using ModelVariant variant = ModelVariant.Of("mixtral");
        variant.Config[key] = value is null ? null : JsonNode.Parse(value);

        Assert.Equal(key, Assert.Throws<MoeFormatException>(() => TestModel.Load(variant.Save())).Item);
    }

    [Theory]
    [InlineData(96)]
    [InlineData(-1)]
    [InlineData(int.MaxValue)]
    public void Forward_TokenOutsideVocabulary_ThrowsAndLeavesTheSequence(int token)
    {
        using TestModel model = TestModel.Load(Golden.Folder("mixtral"));
        using SequenceState sequence = model.NewSequence();
        model.Forward([sequence], [[1, 2, 3]]);

        Assert.Throws<ArgumentOutOfRangeException>(() => model.Forward([sequence], [[4, token]]));
        AssertUsable(model, sequence, 3);
    }

    [Fact]
    public void Forward_MoreThanTheContext_ThrowsAndLeavesTheSequence()
    {
        using TestModel model = TestModel.Load(Golden.Folder("mixtral"));
        using SequenceState sequence = model.Transformer.CreateSequence(4);
        model.Forward([sequence], [[1, 2, 3]]);

        var error = Assert.Throws<MoeContextException>(() => model.Forward([sequence], [[4, 5]]));
        Assert.Equal(4, error.ContextLength);
        AssertUsable(model, sequence, 3);
    }

    [Fact]
    public void Forward_Cancelled_ThrowsAndLeavesTheSequence()
    {
        using TestModel model = TestModel.Load(Golden.Folder("mixtral"));
        using SequenceState sequence = model.NewSequence();
        model.Forward([sequence], [[1, 2, 3]]);
        model.Forwarding.Cancellation = new CancellationToken(canceled: true);

        Assert.Throws<OperationCanceledException>(() => model.Forward([sequence], [[4]]));
        model.Forwarding.Cancellation = default;
        AssertUsable(model, sequence, 3);
    }

    [Fact]
    public void Forward_NaNInARouter_NamesTheRouterAndLeavesTheSequence()
    {
        using ModelVariant variant = ModelVariant.Of("mixtral-sliding");
        string router = variant.Tensors.ContainsKey(Router) ? Router : "model.layers.1.mlp.gate.weight";
        variant.Tensors[router] = variant.Tensors[router].WithNaN();
        using TestModel model = TestModel.Load(variant.Save());
        using SequenceState sequence = model.NewSequence();

        var error = Assert.Throws<MoeNonFiniteException>(() => model.Forward([sequence], [[1, 2, 3]]));
        Assert.Contains("model.layers.1.mlp.gate", error.Step, StringComparison.Ordinal);
        Assert.Equal(0, sequence.Position);
    }

    [Fact]
    public void Forward_SameSequenceTwice_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("llama"));
        using SequenceState sequence = model.NewSequence();

        Assert.Throws<ArgumentException>(() => model.Forward([sequence, sequence], [[1], [2]]));
    }

    [Fact]
    public void Forward_BatchOfAnEarlierPosition_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("llama"));
        using SequenceState sequence = model.NewSequence();
        model.Forward([sequence], [[1]]);

        Assert.Throws<ArgumentException>(
            () => model.Transformer.Forward(model.Forwarding, [2], LogitRows.None, default));
    }

    [Fact]
    public void Forward_LogitsThatDoNotFit_AreRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("llama"));
        using SequenceState sequence = model.NewSequence();
        model.Forwarding.Batch.Add(sequence, 1);

        Assert.Throws<ArgumentException>(
            () => model.Transformer.Forward(model.Forwarding, [2], LogitRows.Last, new float[95]));
    }

    [Fact]
    public void Forward_AfterDispose_Throws()
    {
        TestModel model = TestModel.Load(Golden.Folder("llama"));
        using SequenceState sequence = model.NewSequence();
        model.Transformer.Dispose();

        Assert.Throws<ObjectDisposedException>(() => model.Forward([sequence], [[1]]));
        model.Dispose();
    }

    [Fact]
    public async Task Load_Cancelled_ReleasesTheFolder()
    {
        ModelFolder folder = ModelFolder.Open(Golden.Folder("llama"));

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => ModelLoader.LoadAsync(folder, cancellation: new CancellationToken(canceled: true)));
        Assert.Throws<ObjectDisposedException>(() => folder.Checkpoint.Get("lm_head.weight").Read(0, new byte[2]));
    }

    [Fact]
    public async Task Load_WithProgress_ReportsAllBytes()
    {
        var reports = new List<LoadProgress>();
        using Transformer model = await ModelLoader.LoadAsync(
            ModelFolder.Open(Golden.Folder("mixtral")), prefetch: true, new Collector(reports));

        Assert.NotEmpty(reports);
        Assert.Equal(reports[^1].BytesTotal, reports[^1].BytesRead);
    }

    private static void AssertUsable(TestModel model, SequenceState sequence, int position)
    {
        Assert.Equal(position, sequence.Position);
        using SequenceState fresh = model.NewSequence();
        model.Forward([fresh], [[1, 2, 3]]);
        Assert.Equal(model.Forward([fresh], [[9]]), model.Forward([sequence], [[9]]));
    }

    private sealed class Collector(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            lock (reports)
                reports.Add(value);
        }
    }
}
