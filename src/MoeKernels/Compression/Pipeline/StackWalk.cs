using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>Walks the streams of one stack through its layers and codes the experts on the way.</summary>
/// <param name="source">The dense model.</param>
/// <param name="spec">The stack.</param>
/// <param name="runner">The stack's windows.</param>
internal sealed class StackWalk(
    SublayerSource source, StackSpec spec, WindowRunner runner)
{
    /// <summary>Codes the layers.</summary>
    public required LayerCoder Coder { get; init; }

    /// <summary>The coded embedding, or null.</summary>
    public ReplacedMatrices? Embedding { get; init; }

    /// <summary>The encoder's outputs that the stack's cross-attention reads, dense and compressed.</summary>
    public (EncodedWindows Dense, EncodedWindows Coded)? Sources { get; init; }

    /// <summary>The mixture-of-experts layers of a stack.</summary>
    public static IEnumerable<MoeSpec> SparseLayers(StackSpec stack) =>
        stack.Blocks.SelectMany(block => block.Sublayers).Select(sublayer => sublayer.Layer).OfType<MoeSpec>();

    /// <summary>The cells of a model, encoder first.</summary>
    public static IEnumerable<Cell> Cells(ModelDescription model)
    {
        int block = 0;
        foreach (StackSpec stack in model.Stacks)
        {
            foreach (BlockSpec spec in stack.Blocks)
            {
                foreach (MoeSpec moe in spec.Sublayers.Select(sublayer => sublayer.Layer).OfType<MoeSpec>())
                {
                    foreach (Cell cell in Cells(moe, block))
                        yield return cell;
                }

                block++;
            }
        }
    }

    /// <summary>The cells of a layer: gate where there is one, up and down.</summary>
    /// <param name="moe">The layer.</param>
    /// <param name="block">Its block.</param>
    public static IEnumerable<Cell> Cells(MoeSpec moe, int block)
    {
        ExpertsSpec experts = moe.Experts;
        int count = moe.Router.Experts;
        if (moe.Activation.Gated)
            yield return Make(experts.Gate!, Cell.Gate, experts.Intermediate, experts.Hidden);
        yield return Make(experts.Up, Cell.Up, experts.Intermediate, experts.Hidden);
        yield return Make(experts.Down, Cell.Down, experts.Hidden, experts.Intermediate);

        Cell Make(string name, string kind, int rows, int columns) =>
            new(experts.Stack(name).First, block, kind, count, rows, columns);
    }

    /// <summary>A layer's own matrices of one kind.</summary>
    public static unsafe WeightMatrix[] Matrices(ExpertMatrices experts, string kind)
    {
        WeightMatrix* first = kind switch { Cell.Gate => experts.Gate, Cell.Up => experts.Up, _ => experts.Down };
        return new ReadOnlySpan<WeightMatrix>(first, experts.Experts).ToArray();
    }

    /// <summary>Runs the stack.</summary>
    /// <returns>Both streams behind the last norm.</returns>
    public StreamPair Run()
    {
        var streams = new StreamPair(runner.Rows, source.Description.Hidden);
        try
        {
            source.Embed(spec, runner, streams.Dense);
            source.Embed(spec, runner, streams.Coded, Embedding?.Views);
            foreach (SublayerSpec sublayer in spec.Blocks.SelectMany(block => block.Sublayers))
            {
                Step(streams, sublayer);
                source.ReleasePages();
            }

            source.FinalNorm(spec, runner, streams.Dense);
            source.FinalNorm(spec, runner, streams.Coded);
            return streams;
        }
        catch
        {
            streams.Dispose();
            throw;
        }
    }

    private void Step(StreamPair streams, SublayerSpec sublayer)
    {
        using BuiltSublayer dense = source.Build(sublayer);
        streams.Normalize(runner, dense.Norm);
        using ReplacedMatrices? coded = Coder.Code(
            sublayer, dense, () => Calibrate(streams, (MoeSpec)sublayer.Layer, (RoutedLayer)dense.Layer),
            matrices => Observe(streams, dense.Layer, matrices));
        if (coded is null)
        {
            streams.Advance(runner, dense.Layer, dense.Layer, Sources?.Dense, Sources?.Coded);
            return;
        }

        using BuiltSublayer replaced = source.Build(sublayer, coded.Views);
        streams.Advance(runner, dense.Layer, replaced.Layer, Sources?.Dense, Sources?.Coded);
    }

    /// <summary>What some matrices of a layer are multiplied with in the compressed model.</summary>
    private InputMoments Observe(StreamPair streams, Layer layer, IEnumerable<WeightMatrix> matrices)
    {
        var moments = new InputMoments(matrices);
        runner.Pool.Tap = moments;
        try
        {
            streams.Observe(runner, layer, Sources?.Coded);
            return moments;
        }
        catch
        {
            moments.Dispose();
            throw;
        }
        finally
        {
            runner.Pool.Tap = null;
        }
    }

    private NetworkCalibration Calibrate(StreamPair streams, MoeSpec moe, RoutedLayer layer) => new()
    {
        Dense = layer.Weights.Experts,
        Inputs = streams.CodedInputs,
        DenseInputs = streams.DenseInputs,
        Stream = streams.Coded,
        DenseStream = streams.Dense,
        Tokens = Route(runner, layer, streams.CodedInputs),
        WeightsInputs = moe.Router.ApplyToInput,
    };

    /// <summary>Sorts tokens by the experts that a layer's router gives them.</summary>
    public static ExpertTokens Route(WindowRunner runner, RoutedLayer layer, TokenRows inputs)
    {
        int topK = layer.Router.TopK;
        int[] ids = new int[inputs.Rows * topK];
        float[] weights = new float[ids.Length];
        runner.Route(layer, inputs, ids, weights);
        return ExpertTokens.Sort(layer.Router.Experts, topK, ids, weights);
    }
}
