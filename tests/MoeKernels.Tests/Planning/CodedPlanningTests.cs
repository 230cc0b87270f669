using System.Buffers.Binary;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Planning;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Planning;

/// <summary>Inspection and plan of a folder whose experts are codebook matrices.</summary>
public class CodedPlanningTests
{
    private const string Module = "model.layers.1.mlp.experts";

    [Fact]
    public void Inspect_CodedExperts_CountsWeightsAndEveryByte()
    {
        using var dense = ModelVariant.Of("qwen3_moe");
        var before = MoeModel.Inspect(dense.Save());
        using var coded = ModelVariant.Of("qwen3_moe");
        Code(coded, inputScales: true);
        var info = MoeModel.Inspect(coded.Save());

        Assert.Equal(before.Parameters, info.Parameters);
        Assert.Equal(before.ActiveParameters, info.ActiveParameters);
        Assert.Equal(
            ["mlp.experts.down_proj", "mlp.experts.gate_proj", "mlp.experts.up_proj"],
            info.Coded.Select(stack => stack.Kind));
        Assert.All(info.Coded, stack => Assert.Equal(
            (1, WeightRole.RoutedExperts, 8), (stack.Layer, stack.Role, stack.Matrices)));
        Assert.Equal("D8x2", info.Coded[0].Label);
        Assert.Equal("D5", info.Coded[1].Label);
        long bytes = info.Parts.First(part => part.Role == WeightRole.RoutedExperts).Bytes;
        Assert.Equal(bytes, info.Coded.Sum(stack => stack.Bytes));
        Assert.Equal(8.0 * bytes / info.Coded.Sum(stack => stack.Weights), info.ExpertBits, 9);
    }

    [Fact]
    public void Plan_CodedExperts_CountsThemAsStored()
    {
        using var coded = ModelVariant.Of("qwen3_moe");
        Code(coded, inputScales: true);
        string folder = coded.Save();
        var info = MoeModel.Inspect(folder);
        var plan = MoeModel.Plan(folder);
        Assert.Equal(info.Coded.Sum(stack => stack.Bytes), plan.ExpertBytes);

        // Of each codebook: numbers as stored, numbers in pairs, and a bias a vector; factors of the inputs twice.
        using var dense = ModelVariant.Of("qwen3_moe");
        long codebooks = (128 * (5 + 6 + 2)) + (128 * (8 + 8 + 2)) + (2 * 128 * (8 + 8 + 2));
        long inputs = (48 + 48 + 28) * (sizeof(float) + sizeof(ushort));
        Assert.Equal(MoeModel.Plan(dense.Save()).CopiedBytes + codebooks + inputs, plan.CopiedBytes);
    }

    [Theory]
    [InlineData("model.layers.12.mlp.experts.gate_proj.weight", 12, "mlp.experts.gate_proj")]
    [InlineData("model.layers.0.self_attn.q_proj.weight", 0, "self_attn.q_proj")]
    [InlineData("encoder.block.3.layer.1.mlp.experts.wi.weight", 3, "encoder.layer.1.mlp.experts.wi")]
    [InlineData("model.embed_tokens.weight", -1, "embed_tokens")]
    [InlineData("lm_head.weight", -1, "lm_head")]
    public void Stack_Name_GivesLayerAndKind(string name, int layer, string kind)
    {
        var stack = new CodedStack(name, WeightRole.Unused, 1, 1, 1, 8, 1, 1, 10);
        Assert.Equal((layer, kind), (stack.Layer, stack.Kind));
    }

    /// <summary>Numbers far beyond the file are an error, not an overflow.</summary>
    [Theory]
    [InlineData(1, 1 << 24)]
    [InlineData(2, 1 << 24)]
    [InlineData(5, int.MaxValue)]
    [InlineData(5, 7)]
    public void Inspect_HeaderBeyondTheCodes_IsRefused(int place, int value)
    {
        using var coded = ModelVariant.Of("qwen3_moe");
        Code(coded, inputScales: false);
        byte[] header = coded.Tensors[$"{Module}.up_proj.weight.header"].Bytes;
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(place * sizeof(int)), value);
        string folder = coded.Save();
        Assert.Throws<MoeFormatException>(() => MoeModel.Inspect(folder));
        Assert.Throws<MoeFormatException>(() => MoeModel.Plan(folder));
    }

    [Fact]
    public void Inspect_CodesMissing_IsRefused()
    {
        using var coded = ModelVariant.Of("qwen3_moe");
        Code(coded, inputScales: false);
        coded.Tensors.Remove($"{Module}.up_proj.weight.codes");
        Assert.Throws<MoeFormatException>(() => MoeModel.Inspect(coded.Save()));
    }

    /// <summary>Replaces the experts by random codes.</summary>
    internal static void Code(ModelVariant variant, bool inputScales)
    {
        foreach (string name in variant.Tensors.Keys.Where(
            name => name.StartsWith(Module, StringComparison.Ordinal)).ToArray())
        {
            variant.Tensors.Remove(name);
        }

        foreach (var (kind, rows, columns, dimension, stages) in new[]
        {
            ("gate_proj", 28, 48, 5, 1), ("up_proj", 28, 48, 8, 1), ("down_proj", 48, 28, 8, 2),
        })
        {
            using var folder = new TempFolder();
            using var stack = new TestStack(new CodebookShape(rows, columns, dimension, stages), 8, inputScales);
            var writer = new SafetensorsWriter();
            CodebookTensors.Add(writer, $"{Module}.{kind}.weight", stack.Stack);
            writer.Save(folder["model.safetensors"]);
            using var checkpoint = Checkpoint.Open(folder.Path);
            foreach (string tensor in checkpoint.Names)
            {
                variant.Tensors.Add(tensor, StoredTensor.From(checkpoint.Get(tensor)));
            }
        }
    }
}
