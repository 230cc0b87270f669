using MoeKernels.Compression;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Compression.Pipeline;
using MoeKernels.Tests.Cuda;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>Models on a device whose arithmetic is not the CPU's: bf16 activations, and packed experts. The CPU's
/// routers choose for both, since a rounded logit may choose another expert.</summary>
[Collection("Cpu")]
public sealed class DevicePrecisionTests
{
    /// <summary>A product rounds its inputs and outputs to 2^-9: three of them a layer and a few layers of random
    /// weights stay below this part of the logits' root mean square.</summary>
    private const double BFloat16Tolerance = 2e-2;

    /// <summary>The CPU rounds activations and tables to 8 bits, the device activations to 16: what the CPU differs
    /// from the widened model, here with attention and head in codebooks too.</summary>
    private const double CodebookTolerance = 7e-2;

    /// <summary>As for the CPU's tests: delta nets amplify.</summary>
    private const double DeltaNetTolerance = 0.1;

    public static TheoryData<string> Folders =>
        [.. DecoderReferenceTests.Folders, .. EncoderDecoderReferenceTests.Folders];

    [Theory]
    [MemberData(nameof(Folders))]
    public void BFloat16_WithTheCpusRouting_StaysWithinItsRounding(string name) =>
        AssertClose(name, Golden.Folder(name), roundsActivations: true, BFloat16Tolerance);

    [Theory]
    [InlineData("qwen3_moe", 8, 1)]
    [InlineData("mixtral", 5, 2)]
    [InlineData("deepseek_v3", 10, 1)]
    [InlineData("gpt_oss", 6, 3)]
    [InlineData("llama4-text", 4, 1)]
    [InlineData("qwen3_next", 8, 1)]
    [InlineData("switch", 8, 1)]
    [InlineData("switch-drops", 5, 2)]
    [InlineData("switch-all-sparse", 10, 1)]
    [InlineData("nllb_moe", 6, 3)]
    public void Codebooks_WithTheCpusRouting_GiveItsLogits(string name, int dimension, int stages)
    {
        using TempFolder folder = new();
        string output = TestCompression.Run(
            Golden.Folder(name), folder["out"], new CodeOption(dimension, stages), denseBits: 4);
        double tolerance = name == "qwen3_next" ? DeltaNetTolerance : CodebookTolerance;
        AssertClose(name, output, roundsActivations: false, tolerance);
    }

    [Theory]
    [InlineData("mixtral")]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public void QmoeCodewords_WithTheCpusRouting_GiveItsLogits(string name)
    {
        using TempFolder folder = new();
        string output = TestCompression.Run(Golden.Folder(name), folder["out"], CompressMethod.Qmoe);
        AssertClose(name, output, roundsActivations: false, CodebookTolerance);
    }

    private static void AssertClose(string name, string folder, bool roundsActivations, double tolerance)
    {
        bool cast = !name.StartsWith("pangu", StringComparison.Ordinal);
        DevicePlacement placement = new(NativeLibraryUnderTest.Require(roundsActivations));
        using TestModel onDevice = TestModel.Load(folder, 1, cast, placement);
        using TestModel onCpu = TestModel.Load(folder, 2, cast);
        using Golden golden = new(Golden.Folder(name));
        RecordingTrace trace = new();
        onCpu.Forwarding.Trace = trace;
        float[] expected = Logits(onCpu, golden);
        foreach (DeviceRoutedLayer layer in placement.RoutedLayers)
            layer.Forced = RoutingOf(trace, layer);

        float[] actual = Logits(onDevice, golden);
        double error = ForcedRouting.RelativeError(expected, actual);
        Assert.NotEqual(0, error);
        Assert.True(error <= tolerance, $"{name}: {error:G3} of the root mean square");
    }

    /// <summary>Logits of every row of the first sequence.</summary>
    private static float[] Logits(TestModel model, Golden golden)
    {
        int[] tokens = golden.Rows("input_ids")[0];
        if (!golden.Has("decoder_input_ids"))
            return model.Prefill(tokens);

        using SequenceState state = model.NewSequence();
        model.Encode([state], [tokens], [golden.Rows("attention_mask")[0]]);
        return model.Forward([state], [golden.Rows("decoder_input_ids")[0]]);
    }

    /// <summary>Ids and weights of a router, from whichever form the family's records have.</summary>
    private static (int[] Ids, float[] Weights) RoutingOf(RecordingTrace trace, DeviceRoutedLayer layer)
    {
        string prefix = $"router.{layer.Module}.";
        if (trace.Ints.TryGetValue(prefix + "ids", out int[]? ids))
            return (ids, trace.Floats[prefix + "weights"]);
        if (trace.Ints.TryGetValue(prefix + "selected", out int[]? selected))
        {
            int[] only = [.. selected.Chunk(layer.Experts).Select(token => Array.IndexOf(token, 1))];
            return (only, trace.Floats[prefix + "weight"]);
        }

        return ChosenOf(trace.Floats.GetValueOrDefault(prefix + "scores") ?? trace.Floats[prefix + "combine"], layer);
    }

    /// <summary>The choices behind weights [tokens, experts] that are 0 where an expert was not chosen; -1 for those
    /// that were dropped.</summary>
    private static (int[] Ids, float[] Weights) ChosenOf(float[] weights, DeviceRoutedLayer layer)
    {
        var ids = new List<int>();
        foreach (float[] token in weights.Chunk(layer.Experts))
        {
            int[] chosen = [.. Enumerable.Range(0, layer.Experts).Where(expert => token[expert] != 0)];
            ids.AddRange([.. chosen, .. Enumerable.Repeat(-1, layer.TopK - chosen.Length)]);
        }

        return ([.. ids], [.. ids.Select((id, i) => id < 0 ? 0 : weights[(i / layer.TopK * layer.Experts) + id])]);
    }
}
