using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models;

/// <summary>Every decoder-only family against the outputs of its reference implementation.</summary>
public sealed class DecoderReferenceTests
{
    /// <summary>The folders of tests/data/models with a decoder alone.</summary>
    public static TheoryData<string> Folders { get; } =
    [
        "mixtral", "mixtral-sliding", "mixtral-v5-layout", "qwen2_moe", "qwen3_moe", "qwen3_moe-yarn", "olmoe",
        "gpt_oss", "gpt_oss-mxfp4", "llama4-text", "glm4_moe", "minimax_m2", "pangu_pro_moe", "pangu-two-per-group",
        "llama", "deepseek_v2-lite", "deepseek_v2", "deepseek_v3", "deepseek_v3-fp8", "qwen3_next",
    ];

    [Theory]
    [MemberData(nameof(Folders))]
    public void Prefill_BatchOfTwo_MatchesReference(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        using TestModel model = TestModel.Reference(name, threads: 2);
        var trace = new RecordingTrace();
        model.Forwarding.Trace = trace;

        float[] logits = model.Prefill(golden.Rows("input_ids"));

        foreach (string tensor in golden.Names.Where(IsTraced))
        {
            if (tensor.EndsWith(".ids", StringComparison.Ordinal))
                Assert.Equal(golden.Ints(tensor), trace.Ints[tensor]);
            else
                golden.AssertClose(tensor, trace.Floats[tensor]);
        }

        golden.AssertClose("logits", logits);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Greedy_WithCache_MatchesReference(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        if (!golden.Has("greedy_ids"))
            return;

        using TestModel model = TestModel.Reference(name);
        int[] prompt = golden.Rows("input_ids")[0];
        int[] continuation = golden.Ints("greedy_ids");
        Assert.Equal([.. prompt, .. continuation], model.Greedy(prompt, prompt.Length + continuation.Length));
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Forward_AnyChunksOrBatch_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[][] tokens = golden.Rows("input_ids");
        using TestModel model = TestModel.Reference(name);
        float[] together = model.Prefill(tokens);
        float[] alone = model.Prefill(tokens[0]);

        Assert.Equal(together[..alone.Length], alone);
        Assert.Equal(together[alone.Length..], model.Prefill(tokens[1]));
        Assert.Equal(alone, model.Chunked(tokens[0], 1));
        Assert.Equal(alone, model.Chunked(tokens[0], 3, 1, 7, 2, 5));
        Assert.Equal(alone, model.Chunked(tokens[0], tokens[0].Length - 1, 1));
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Forward_AnyThreads_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[][] tokens = golden.Rows("input_ids");
        float[][] logits = Array.ConvertAll([1, 2, 3], threads =>
        {
            using TestModel model = TestModel.Reference(name, threads);
            return model.Prefill(tokens);
        });

        Assert.Equal(logits[0], logits[1]);
        Assert.Equal(logits[0], logits[2]);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Sequence_CopiedOrRewound_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[] tokens = golden.Rows("input_ids")[0];
        using TestModel model = TestModel.Reference(name);
        using SequenceState first = model.NewSequence();
        using SequenceState second = model.NewSequence();
        model.Forward([first], [tokens[..5]]);
        second.CopyFrom(first);
        float[] expected = model.Forward([first], [tokens[5..]]);

        Assert.Equal(expected, model.Forward([second], [tokens[5..]]));
        if (!first.CanRewind)
            return;

        first.Rewind(5);
        Assert.Equal(expected, model.Forward([first], [tokens[5..]]));
    }

    private static bool IsTraced(string tensor) =>
        tensor.StartsWith("hidden.", StringComparison.Ordinal)
        || tensor.StartsWith("router.", StringComparison.Ordinal);
}
