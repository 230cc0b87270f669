using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;

namespace MoeKernels.Compression;

/// <summary>Runs one layer of each kind that a model has: its own attention and router, and random experts.</summary>
/// <param name="source">The model.</param>
/// <param name="windows">Windows of the run.</param>
/// <param name="pool">Threads.</param>
/// <param name="option">How coded experts are coded; null where they run like dense ones.</param>
/// <param name="cancellation">Stops between layers.</param>
internal sealed class LayerSpeedTest(
    SublayerSource source, CalibrationWindows windows, WorkerPool pool, CodeOption? option,
    CancellationToken cancellation)
{
    /// <summary>A call of the size that a run makes is timed where it takes no longer, else one window.</summary>
    private const double LongestCall = 0.8;

    private readonly Dictionary<object, (double Dense, double Coded)> _known = [];

    /// <summary>Seconds a token of every sublayer, encoder first.</summary>
    public (double[] Dense, double[] Coded) Run()
    {
        ModelDescription model = source.Description;
        (double Dense, double Coded)[] all =
        [
            .. from stack in model.Stacks
            from block in stack.Blocks
            from sublayer in block.Sublayers
            select Speed(sublayer, ReferenceEquals(stack, model.Encoder)),
        ];
        return ([.. all.Select(one => one.Dense)], [.. all.Select(one => one.Coded)]);
    }

    private (double Dense, double Coded) Speed(SublayerSpec sublayer, bool isEncoder)
    {
        LayerSpec layer = sublayer.Layer;
        object kind = (layer.GetType(), isEncoder, layer.StateBytes(windows.Length), layer.ScratchFloats(64, 64, 1));
        if (_known.TryGetValue(kind, out (double, double) known))
            return known;
        cancellation.ThrowIfCancellationRequested();
        var moe = layer as MoeSpec;
        using RandomExperts? dense = moe is null ? null : RandomExperts.Dense(moe, source.Folder.Checkpoint);
        double denseSeconds = Measure(sublayer, dense, isEncoder), codedSeconds = denseSeconds;
        if (moe is not null && option is { } coding)
        {
            using RandomExperts coded = RandomExperts.Coded(moe, coding);
            codedSeconds = Measure(sublayer, coded, isEncoder);
        }

        return _known[kind] = (denseSeconds, codedSeconds);
    }

    private double Measure(SublayerSpec sublayer, RandomExperts? experts, bool isEncoder)
    {
        using BuiltSublayer built = source.Build(sublayer, experts?.Views);
        double seconds = Measure(built, windows.Sample(1), isEncoder);
        CalibrationWindows call = windows.Sample(Math.Max(WindowRunner.CallTokens / windows.Length, 1));
        return seconds * call.Tokens.Length > LongestCall ? seconds : Measure(built, call, isEncoder);
    }

    /// <summary>Seconds a token.</summary>
    private unsafe double Measure(BuiltSublayer built, CalibrationWindows call, bool isEncoder)
    {
        using var runner = new WindowRunner(
            pool, call, isEncoder,
            rows => Transformer.ScratchFloats(source.Description, rows, call.Length, pool.Threads), cancellation);
        int hidden = source.Description.Hidden;
        using TokenRows stream = new(runner.Rows, hidden), inputs = new(runner.Rows, hidden);
        using TokenRows result = new(runner.Rows, hidden);
        var random = new SmallRandom(1);
        for (nint i = 0; i < (nint)stream.Rows * hidden; i++)
            stream.Data[i] = ((int)random.Below(2001) - 1000) / 1000f;
        var encoded = new EncodedWindows(stream, call.Length);
        double together = Timing.Seconds(pool.Threads, () =>
        {
            runner.Normalize(built.Norm, stream, inputs);
            runner.Run(built.Layer, inputs, result, encoded);
        });
        return (together + Timing.Seconds(1, () => stream.Add(result))) / runner.Rows;
    }
}
