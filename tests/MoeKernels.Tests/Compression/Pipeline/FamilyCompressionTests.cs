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
    /// <summary>Rounding to 255 steps of the largest one adds .9 % of a product for tables and .3 % for inputs; three
    /// products of a few dozen columns give 1 to 2.5 % of a layer's experts, a few layers up to 3 % of the logits.
    /// A delta net gives up to 5 %: it divides heads of 8 numbers by their own root mean square, also where what it
    /// reads from its state nearly cancels.</summary>
    private const double ExpertsTolerance = 3e-2, Tolerance = 5e-2;

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
        double error = ForcedRouting.RelativeError(expected, actual);
        Assert.NotEqual(0, error);
        Assert.InRange(run.ExpertsError, 0, ExpertsTolerance);
        Assert.InRange(error, 0, Tolerance);
    }
}
