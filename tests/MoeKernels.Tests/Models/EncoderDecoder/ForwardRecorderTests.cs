using MoeKernels.Formats;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Models.EncoderDecoder;

public class ForwardRecorderTests
{
    [Fact]
    public void Run_DecoderOnly_RecordsTheReferencesNamesAndShapes()
    {
        using Golden golden = new(Golden.Folder("mixtral"));
        using TestModel model = TestModel.Load(Golden.Folder("mixtral"));
        ForwardInput input = new(2, golden.Ints("input_ids"));
        var tensors = ForwardRecorder.Run(model.Transformer, model.Pool, input, hidden: true, router: true);
        Assert.Equal(
            golden.Names.Except(["input_ids", "greedy_ids", "greedy_min_gap"]).Order(),
            tensors.Select(tensor => tensor.Name).Order());
        Assert.All(tensors, tensor => Assert.Equal(golden.Shape(tensor.Name), tensor.Shape));
        Assert.Equal(
            model.Prefill(golden.Rows("input_ids")), tensors.Single(tensor => tensor.Name == "logits").Values!);
    }

    [Theory]
    [InlineData(false, false, 1)]
    [InlineData(true, false, 11)]
    [InlineData(false, true, 17)]
    public void Run_WithSwitches_RecordsWhatIsAskedFor(bool hidden, bool router, int count)
    {
        using Golden golden = new(Golden.Folder("switch"));
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        Assert.Equal(count, Run(model, golden, hidden, router).Count);
    }

    [Fact]
    public void AddTo_AWriter_WritesTheTensors()
    {
        using Golden golden = new(Golden.Folder("switch"));
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        using TempFolder folder = new();
        var tensors = Run(model, golden, hidden: true, router: true);
        SafetensorsWriter writer = new();
        foreach (RecordedTensor tensor in tensors)
            tensor.AddTo(writer);
        writer.Save(folder["out.safetensors"]);
        using SafetensorsFile file = SafetensorsFile.Open(folder["out.safetensors"]);
        Assert.Equal(tensors.Select(tensor => tensor.Name).Order(), file.Tensors.Keys.Order());
        foreach (RecordedTensor tensor in tensors)
        {
            Assert.Equal(tensor.Shape, file.Tensors[tensor.Name].Shape);
            Assert.Equal(
                tensor.Integers is null ? ElementType.F32 : ElementType.I32, file.Tensors[tensor.Name].ElementType);
        }
    }

    [Fact]
    public void Run_UnsuitableInput_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        Assert.Throws<ArgumentException>(() => Run(model, new ForwardInput(1, [3, 4])));
        Assert.Throws<ArgumentException>(() => Run(model, new ForwardInput(1, [3, 4], [0, 0], [0])));
        Assert.Throws<ArgumentException>(() => Run(model, new ForwardInput(1, [3, 4], [1, 3], [0])));
        Assert.Throws<ArgumentOutOfRangeException>(() => Run(model, new ForwardInput(1, [3, 96], null, [0])));
        Assert.Throws<ArgumentOutOfRangeException>(() => Run(model, new ForwardInput(1, [3, 4], null, [-1])));
        Assert.NotEmpty(Run(model, new ForwardInput(1, [3, 4], null, [0])));
    }

    [Fact]
    public void Run_DecoderOnlyWithDecoderIdsOrInnerPadding_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("llama"));
        Assert.Throws<ArgumentException>(() => Run(model, new ForwardInput(1, [3, 4], null, [0])));
        Assert.Throws<MoeUnsupportedException>(() => Run(model, new ForwardInput(1, [3, 4], [0, 1])));
        Assert.Equal(
            Run(model, new ForwardInput(1, [3, 4, 0]))[0].Values,
            Run(model, new ForwardInput(1, [3, 4, 0], [1, 1, 0]))[0].Values);
    }

    [Fact]
    public void Run_Cancelled_Throws()
    {
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        ForwardInput input = new(1, [3, 4], null, [0]);
        Assert.Throws<OperationCanceledException>(() => ForwardRecorder.Run(
            model.Transformer, model.Pool, input, true, true, new CancellationToken(true)));
    }

    [Fact]
    public void Input_WithWrongLengths_IsRefused()
    {
        Assert.Throws<ArgumentException>(() => new ForwardInput(1, []));
        Assert.Throws<ArgumentException>(() => new ForwardInput(2, [1, 2, 3]));
        Assert.Throws<ArgumentException>(() => new ForwardInput(1, [1, 2], [1]));
        Assert.Throws<ArgumentException>(() => new ForwardInput(2, [1, 2], null, [1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ForwardInput(0, [1]));
    }

    [Fact]
    public void Input_FromFile_IsReadInEveryForm()
    {
        using Golden golden = new(Golden.Folder("nllb_moe"));
        ForwardInput input = ForwardInput.Open(Path.Combine(Golden.Folder("nllb_moe"), "golden.safetensors"));
        Assert.Equal((2, 17, 9), (input.Sequences, input.Length, input.DecoderLength));
        Assert.Equal(golden.Ints("input_ids"), input.Ids);
        Assert.Equal(golden.Ints("attention_mask"), input.Mask);
        Assert.Equal(golden.Ints("decoder_input_ids"), input.DecoderIds);

        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        writer.Add<int>("input_ids", ElementType.I32, [3], new[] { 5, 6, 7 });
        writer.Save(folder["ids.safetensors"]);
        ForwardInput flat = ForwardInput.Open(folder["ids.safetensors"]);
        Assert.Equal((1, 3, 0), (flat.Sequences, flat.Length, flat.DecoderLength));
        Assert.Null(flat.Mask);
    }

    [Fact]
    public void Input_FromWrongFile_IsRefused()
    {
        AssertRefused("input_ids", writer => writer.Add<int>("ids", ElementType.I32, [1], new[] { 5 }));
        AssertRefused("input_ids", writer => writer.Add("input_ids", [1], new[] { 5f }));
        AssertRefused("input_ids", writer => writer.Add<int>("input_ids", ElementType.I32, [1, 0], Array.Empty<int>()));
        AssertRefused("input_ids", writer => writer.Add<int>("input_ids", ElementType.I32, [1, 1, 1], new[] { 5 }));
        AssertRefused("input_ids", writer => writer.Add<long>("input_ids", ElementType.I64, [1], new[] { 1L << 40 }));
        AssertRefused("attention_mask", writer =>
        {
            writer.Add<int>("input_ids", ElementType.I32, [1, 2], new[] { 5, 6 });
            writer.Add<int>("attention_mask", ElementType.I32, [2, 1], new[] { 1, 1 });
        });
        AssertRefused("decoder_input_ids", writer =>
        {
            writer.Add<int>("input_ids", ElementType.I32, [1, 2], new[] { 5, 6 });
            writer.Add<int>("decoder_input_ids", ElementType.I32, [2, 1], new[] { 1, 1 });
        });
    }

    [Fact]
    public void Transformer_EncodedOrDecodedAtTheWrongTime_IsRefused()
    {
        using TestModel model = TestModel.Load(Golden.Folder("nllb_moe"));
        using SequenceState state = model.NewSequence();
        Assert.Throws<InvalidOperationException>(() => model.Forward([state], [[2]]));
        Assert.Equal(0, state.Position);
        model.Encode([state], [[5, 6]], [[1, 1]]);
        Assert.NotEmpty(model.Forward([state], [[2]]));
        Assert.Throws<ArgumentException>(() => model.Encode([state], [[5, 6]], [[1, 1]]));
        Assert.Throws<ArgumentException>(() => model.Encode([state, state], [[5], [6]], [[1], [1]]));
        using TestModel decoder = TestModel.Load(Golden.Folder("llama"));
        using SequenceState other = decoder.NewSequence();
        Assert.Throws<InvalidOperationException>(() => decoder.Encode([other], [[5]], [[1]]));
    }

    [Fact]
    public void Transformer_CopyOfASequenceWithoutSource_HasNone()
    {
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        using SequenceState state = model.NewSequence(), empty = model.NewSequence();
        model.Encode([state], [[5, 6]], [[1, 1]]);
        state.CopyFrom(empty);
        Assert.Throws<InvalidOperationException>(() => model.Forward([state], [[0]]));
    }

    [Fact]
    public void Transformer_CancelledEncode_KeepsTheSource()
    {
        using TestModel model = TestModel.Load(Golden.Folder("switch"));
        using SequenceState state = model.NewSequence();
        model.Encode([state], [[5, 6, 7]], [[1, 1, 1]]);
        float[] expected = model.Forward([state], [[0, 3]]);
        state.Rewind(0);
        model.Forwarding.Cancellation = new CancellationToken(true);
        Assert.Throws<OperationCanceledException>(() => model.Encode([state], [[9, 8]], [[1, 1]]));
        model.Forwarding.Cancellation = default;
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Encode([state], [[9, 96]], [[1, 1]]));
        Assert.Equal(expected, model.Forward([state], [[0, 3]]));
    }

    private static void AssertRefused(string tensor, Action<SafetensorsWriter> fill)
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        fill(writer);
        writer.Save(folder["ids.safetensors"]);
        var error = Assert.Throws<MoeFormatException>(() => ForwardInput.Open(folder["ids.safetensors"]));
        Assert.Contains(tensor, error.Message, StringComparison.Ordinal);
    }

    private static IReadOnlyList<RecordedTensor> Run(TestModel model, Golden golden, bool hidden, bool router) =>
        ForwardRecorder.Run(
            model.Transformer, model.Pool,
            new ForwardInput(
                2, golden.Ints("input_ids"), golden.Ints("attention_mask"), golden.Ints("decoder_input_ids")),
            hidden, router);

    private static IReadOnlyList<RecordedTensor> Run(TestModel model, ForwardInput input) =>
        ForwardRecorder.Run(model.Transformer, model.Pool, input, hidden: false, router: false);
}
