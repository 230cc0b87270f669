using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Families;
using MoeKernels.Models.KvCache;
using MoeKernels.Tests.Cpu;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Every family compressed and loaded again.</summary>
[Collection("Cpu")]
public sealed class FamilyCompressionTests
{
    /// <summary>A table's entries and its inputs are rounded to 255 steps of the largest: three matrices of a few dozen
    /// columns give 1 to 3 % of the random models' logits, and their delta nets amplify that.</summary>
    private const double Tolerance = 5e-2, DeltaNetTolerance = 0.1;

    public static TheoryData<string> Decoders { get; } =
        [.. DecoderReferenceTests.Folders.Select(row => row.Data).Where(name => name != "llama")];

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Decoder_Compressed_GivesTheBitsOfTheSlowReference(string name)
    {
        using TempFolder folder = new();
        string output = TestCompression.Run(Golden.Folder(name), folder["out"], new CodeOption(4, 2), denseBits: 4);
        int[][] tokens = new Golden(Golden.Folder(name)).Rows("input_ids");
        using TestModel model = TestModel.Load(output, threads: 2);
        float[] expected = model.Prefill(tokens);
        Assert.All(expected, logit => Assert.True(float.IsFinite(logit)));
        CpuTests.AtEveryLevel(_ => Assert.Equal(expected, model.Prefill(tokens)));
        Assert.Equal(expected[..(tokens[0].Length * model.Transformer.Description.VocabularySize)],
            model.Chunked(tokens[0], 3, 1));
    }

    [Theory]
    [MemberData(nameof(EncoderDecoderReferenceTests.Folders), MemberType = typeof(EncoderDecoderReferenceTests))]
    public void EncoderDecoder_Compressed_GivesTheBitsOfTheSlowReference(string name)
    {
        using TempFolder folder = new();
        string output = TestCompression.Run(Golden.Folder(name), folder["out"], new CodeOption(5, 1), denseBits: 3);
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = TestModel.Load(output, threads: 2);
        float[] expected = Decode();
        Assert.All(expected, logit => Assert.True(float.IsFinite(logit)));
        CpuTests.AtEveryLevel(_ => Assert.Equal(expected, Decode()));

        float[] Decode()
        {
            using SequenceState state = model.NewSequence();
            model.Encode([state], [golden.Rows("input_ids")[0]], [golden.Rows("attention_mask")[0]]);
            return model.Forward([state], [golden.Rows("decoder_input_ids")[0]]);
        }
    }

    [Theory]
    [MemberData(nameof(Decoders))]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public void Model_CompressedAndWidened_AgreeWithTheSameRouting(string name)
    {
        using TempFolder temp = new();
        string output = TestCompression.Run(Golden.Folder(name), temp["out"], new CodeOption(8, 1));
        using ModelFolder folder = ModelFolder.Open(output);
        SublayerSource source = new(folder, FamilyRegistry.Describe(folder.Config));
        using WorkerPool pool = new(2);
        using Golden golden = new(Golden.Folder(name));
        int[] tokens = golden.Rows("input_ids")[0];
        using ForcedRouting run = new(source, pool, tokens);
        (float[] expected, float[] actual) = run.Logits();
        double error = 0, size = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            error += Math.Pow(expected[i] - actual[i], 2);
            size += Math.Pow(expected[i], 2);
        }

        Assert.NotEqual(0, error);
        Assert.InRange(Math.Sqrt(error / size), 0, name == "qwen3_next" ? DeltaNetTolerance : Tolerance);
    }
}
