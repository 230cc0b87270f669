using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>Switch Transformers and NLLB-MoE against the outputs of their reference implementation.</summary>
public class EncoderDecoderReferenceTests
{
    public static TheoryData<string> Folders { get; } = ["switch", "switch-drops", "switch-all-sparse", "nllb_moe"];

    /// <summary>Folders where no token loses its place to another one.</summary>
    public static TheoryData<string> Dropless { get; } = ["switch", "switch-all-sparse", "nllb_moe"];

    /// <summary>Whether the model reports what its routers do.</summary>
    private protected virtual bool RecordsRouters => true;

    [Theory]
    [MemberData(nameof(Folders))]
    public void Record_BatchWithPadding_MatchesReference(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name, threads: 2);
        var tensors = ForwardRecorder.Run(
            model.Transformer, model.Pool, Input(golden), hidden: true, router: RecordsRouters);

        string[] notRecorded = ["input_ids", "attention_mask", "decoder_input_ids", "greedy_ids", "greedy_min_gap"];
        IEnumerable<string> expected = golden.Names.Except(notRecorded)
            .Where(name => RecordsRouters || !name.StartsWith("router.", StringComparison.Ordinal));
        Assert.Equal(expected.Order(), tensors.Select(tensor => tensor.Name).Order());
        int[] mask = golden.Ints("attention_mask");
        foreach (RecordedTensor tensor in tensors)
        {
            Assert.Equal(golden.Shape(tensor.Name), tensor.Shape);
            bool encoder = tensor.Name.Contains("encoder.", StringComparison.Ordinal);
            if (tensor.Integers is not null)
                Assert.Equal(golden.Ints(tensor.Name), tensor.Integers);
            else if (encoder)
                golden.AssertClose(tensor.Name, tensor.Values!, mask);
            else
                golden.AssertClose(tensor.Name, tensor.Values!);
        }
    }

    [Theory]
    [MemberData(nameof(Dropless))]
    public void Greedy_WithCache_MatchesReference(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name);
        using SequenceState state = model.NewSequence();
        model.Encode([state], [golden.Rows("input_ids")[0]], [golden.Rows("attention_mask")[0]]);
        List<int> tokens = [model.Transformer.Description.DecoderStartToken!.Value];
        int[] expected = golden.Ints("greedy_ids");
        while (tokens.Count < expected.Length)
            tokens.Add(Best(model.Forward([state], [[tokens[^1]]], LogitRows.Last)));
        Assert.Equal(expected, tokens);
    }

    /// <summary>The reference has no cache, and capacity counts the tokens of one call.</summary>
    [Theory]
    [MemberData(nameof(Folders))]
    public void Greedy_WholePrefixEachTime_MatchesReference(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name);
        using SequenceState state = model.NewSequence();
        model.Encode([state], [golden.Rows("input_ids")[0]], [golden.Rows("attention_mask")[0]]);
        List<int> tokens = [model.Transformer.Description.DecoderStartToken!.Value];
        int[] expected = golden.Ints("greedy_ids");
        while (tokens.Count < expected.Length)
        {
            state.Rewind(0);
            tokens.Add(Best(model.Forward([state], [[.. tokens]], LogitRows.Last)));
        }

        Assert.Equal(expected, tokens);
    }

    [Theory]
    [MemberData(nameof(Dropless))]
    public void Forward_AnyChunksOrBatch_GivesTheSameBits(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name, threads: 2);
        int[][] ids = golden.Rows("input_ids"), mask = golden.Rows("attention_mask");
        int[][] tokens = golden.Rows("decoder_input_ids");
        float[] together = Decode(model, ids, mask, tokens, [9]);
        int half = together.Length / 2;
        for (int row = 0; row < 2; row++)
        {
            float[] expected = together[(row * half)..((row + 1) * half)];
            foreach (int[] pieces in new int[][] { [9], [1, 1, 1, 1, 1, 1, 1, 1, 1], [4, 5], [8, 1] })
                Assert.Equal(expected, Decode(model, [ids[row]], [mask[row]], [tokens[row]], pieces));
        }
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Encode_WithoutItsPadding_GivesTheSameBits(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name);
        int[] ids = golden.Rows("input_ids")[1], mask = golden.Rows("attention_mask")[1];
        int[] tokens = golden.Rows("decoder_input_ids")[1];
        int length = mask.Sum();
        Assert.InRange(length, 1, ids.Length - 1);
        Assert.Equal(
            Decode(model, [ids], [mask], [tokens], [9]),
            Decode(model, [ids[..length]], [mask[..length]], [tokens], [9]));
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Forward_AnyThreads_GivesTheSameBits(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        float[][] logits = Array.ConvertAll([1, 2, 3], threads =>
        {
            using TestModel model = Load(name, threads);
            return Decode(
                model, golden.Rows("input_ids"), golden.Rows("attention_mask"), golden.Rows("decoder_input_ids"), [9]);
        });
        Assert.Equal(logits[0], logits[1]);
        Assert.Equal(logits[0], logits[2]);
    }

    [Theory]
    [MemberData(nameof(Folders))]
    public void Sequence_RewoundCopiedOrEncodedAgain_GivesTheSameBits(string name)
    {
        using Golden golden = new(Golden.Folder(name));
        using TestModel model = Load(name);
        int[][] ids = golden.Rows("input_ids"), mask = golden.Rows("attention_mask");
        int[] tokens = golden.Rows("decoder_input_ids")[0];
        using SequenceState first = model.NewSequence(), second = model.NewSequence();
        model.Encode([first], [ids[0]], [mask[0]]);
        float[] head = model.Forward([first], [tokens[..3]]);
        second.CopyFrom(first);
        float[] tail = model.Forward([first], [tokens[3..]]);

        Assert.Equal(tail, model.Forward([second], [tokens[3..]]));
        first.Rewind(3);
        Assert.Equal(tail, model.Forward([first], [tokens[3..]]));
        first.Rewind(0);
        model.Encode([first], [ids[1][..9]], [mask[1][..9]]);
        Assert.NotEqual(head, model.Forward([first], [tokens[..3]]));
        first.Rewind(0);
        model.Encode([first], [ids[0]], [mask[0]]);
        Assert.Equal(head, model.Forward([first], [tokens[..3]]));
    }

    private protected virtual TestModel Load(string name, int threads = 1) =>
        TestModel.Load(Golden.Folder(name), threads);

    private static float[] Decode(TestModel model, int[][] ids, int[][] mask, int[][] tokens, int[] pieces)
    {
        SequenceState[] states = Array.ConvertAll(ids, _ => model.NewSequence());
        model.Encode(states, ids, mask);
        List<float> logits = [];
        int done = 0;
        foreach (int piece in pieces)
        {
            int[][] part = Array.ConvertAll(tokens, row => row[done..(done + piece)]);
            logits.AddRange(model.Forward(states, part));
            done += piece;
        }

        Array.ForEach(states, state => state.Dispose());
        return [.. logits];
    }

    private static ForwardInput Input(Golden golden) => new(
        2, golden.Ints("input_ids"), golden.Ints("attention_mask"), golden.Ints("decoder_input_ids"));

    private static int Best(float[] logits) => Array.IndexOf(logits, logits.Max());
}
