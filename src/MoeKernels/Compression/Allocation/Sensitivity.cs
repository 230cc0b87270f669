using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>Measures what coding each cell costs the model: one cell at a time, in the dense model, on windows that are
/// not calibrated with.</summary>
/// <param name="source">The dense model.</param>
/// <param name="runner">Calibration windows of the decoder.</param>
/// <param name="meter">Windows to measure on.</param>
/// <param name="encoded">The encoder's outputs for the calibration windows, or null.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts and between calls.</param>
internal sealed class Sensitivity(
    SublayerSource source, WindowRunner runner, DivergenceMeter meter, EncodedWindows? encoded, int threads,
    CancellationToken cancellation)
{
    /// <summary>Option that <see cref="AllocationMode.Fast"/> measures.</summary>
    private static readonly int Probe = CodeOption.All.ToList().IndexOf(new CodeOption(10, 1));

    /// <summary>Whether every option is measured rather than one.</summary>
    public required bool Full { get; init; }

    /// <summary>Told how many of all cells are done.</summary>
    public Action<int, int>? Progress { get; init; }

    /// <summary>Walks through the decoder.</summary>
    /// <returns>A curve for every cell, in the order of the layers.</returns>
    public IReadOnlyList<CellCurve> Run()
    {
        var curves = new List<CellCurve>();
        StackSpec spec = source.Description.Decoder;
        int total = 3 * spec.Blocks.SelectMany(block => block.Sublayers).Count(sublayer => sublayer.Layer is MoeSpec);
        using var streams = new DenseStream(runner.Rows, source.Description.Hidden);
        source.Embed(spec, runner, streams.Residual);
        for (int block = 0; block < spec.Blocks.Count; block++)
        {
            foreach (SublayerSpec sublayer in spec.Blocks[block].Sublayers)
            {
                using BuiltSublayer dense = source.Build(sublayer);
                runner.Normalize(dense.Norm, streams.Residual, streams.Inputs);
                if (sublayer.Layer is MoeSpec moe)
                {
                    curves.AddRange(Curves(streams, sublayer, moe, (RoutedLayer)dense.Layer, block));
                    Progress?.Invoke(curves.Count, total);
                }

                streams.Advance(runner, dense.Layer, encoded);
                meter.Advance();
            }
        }

        return curves;
    }

    private IEnumerable<CellCurve> Curves(
        DenseStream streams, SublayerSpec sublayer, MoeSpec moe, RoutedLayer layer, int block)
    {
        ExpertTokens tokens = StackWalk.Route(runner, layer, streams.Inputs);
        var network = new NetworkCalibration
        {
            Dense = layer.Weights.Experts,
            Inputs = streams.Inputs,
            DenseInputs = streams.Inputs,
            Stream = streams.Residual,
            DenseStream = streams.Residual,
            Tokens = tokens,
            PlainTargets = true,
            WeightsInputs = moe.Router.ApplyToInput,
        };
        using var probe = new NetworkProbe(network, threads, cancellation);
        foreach (Cell cell in StackWalk.Cells(moe, block))
        {
            double[] losses = new double[CodeOption.All.Count];
            double[] errors = new double[losses.Length];
            double measured = 0;
            for (int option = 0; option < losses.Length; option++)
            {
                bool measure = Full || option == Probe;
                using ProbedCell coded = probe.Code(cell, CodeOption.All[option], measure);
                errors[option] = coded.RelativeError;
                if (measure)
                    losses[option] = Measure(sublayer, cell, layer, coded, tokens);
                measured = option == Probe ? losses[option] : measured;
            }

            for (int option = 0; !Full && option < losses.Length; option++)
                losses[option] = measured * errors[option] / errors[Probe];
            yield return new CellCurve(cell, losses);
        }
    }

    /// <summary>Divergence with the coded experts of a cell, scaled up to all of its experts.</summary>
    private double Measure(SublayerSpec sublayer, Cell cell, RoutedLayer layer, ProbedCell coded, ExpertTokens tokens)
    {
        var replaced = new Dictionary<string, WeightMatrix[]>(StringComparer.Ordinal);
        foreach (Cell other in StackWalk.Cells((MoeSpec)sublayer.Layer, cell.Layer))
            replaced[other.Stack] = StackWalk.Matrices(layer.Weights.Experts, other.Kind);
        coded.CopyTo(replaced[cell.Stack]);
        using BuiltSublayer exchanged = source.Build(sublayer, replaced);
        double share = coded.Experts.Sum(e => (double)tokens.Of(e).Length)
            / Math.Max(Enumerable.Range(0, tokens.Experts).Sum(e => (double)tokens.Of(e).Length), 1);
        return Math.Max(meter.Measure(exchanged.Layer), 0) / Math.Max(share, 1e-6);
    }
}
