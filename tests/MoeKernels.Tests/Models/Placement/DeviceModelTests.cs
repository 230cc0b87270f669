using MoeKernels.Models.KvCache;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cuda;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>Every decoder-only family on a device: what the CPU promises, the device keeps.</summary>
public sealed class DeviceModelTests
{
    public static TheoryData<string> Folders => DecoderReferenceTests.Folders;

    [Theory]
    [MemberData(nameof(Folders))]
    public void Prefill_BatchOfTwo_MatchesReference(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        using TestModel model = OnDevice(name);
        var trace = new RecordingTrace(router: false);
        model.Forwarding.Trace = trace;

        float[] logits = model.Prefill(golden.Rows("input_ids"));

        foreach (string tensor in golden.Names.Where(n => n.StartsWith("hidden.", StringComparison.Ordinal)))
            golden.AssertClose(tensor, trace.Floats[tensor]);
        golden.AssertClose("logits", logits);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Sequence_AnyChunksCopiedOrRewound_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[] tokens = golden.Rows("input_ids")[0][..12];
        using TestModel model = OnDevice(name);
        float[] whole = model.Prefill(tokens);
        Assert.Equal(whole, model.Chunked(tokens, 5, 1, tokens.Length - 6));

        using SequenceState first = model.NewSequence();
        using SequenceState second = model.NewSequence();
        model.Forward([first], [tokens[..5]]);
        second.CopyFrom(first);
        float[] expected = whole[^((tokens.Length - 5) * (whole.Length / tokens.Length))..];
        Assert.Equal(expected, model.Forward([first], [tokens[5..]]));
        Assert.Equal(expected, model.Forward([second], [tokens[5..]]));
        if (!first.CanRewind)
            return;

        first.Rewind(5);
        Assert.Equal(expected, model.Forward([first], [tokens[5..]]));
    }

    [Theory]
    [InlineData("qwen3_moe")]
    [InlineData("mixtral-sliding")]
    public void Greedy_WithCache_MatchesReference(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        using TestModel model = OnDevice(name);
        int[] prompt = golden.Rows("input_ids")[0];
        int[] continuation = golden.Ints("greedy_ids");
        Assert.Equal([.. prompt, .. continuation], model.Greedy(prompt, prompt.Length + continuation.Length));
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Placement_OfADecoder_LeavesOnlyDeltaNetsOnTheHost(string name)
    {
        DevicePlacement placement = new(NativeLibraryUnderTest.Require());
        using TestModel model = TestModel.Reference(name, threads: 1, placement);
        Assert.Equal(name == "qwen3_next" ? ["gated delta networks"] : [], placement.HostReasons);
    }

    private static TestModel OnDevice(string name) =>
        TestModel.Reference(name, threads: 1, new DevicePlacement(NativeLibraryUnderTest.Require()));
}
