using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Compression;

/// <summary>Measures what coding each cell costs the model: one cell at a time, in the dense model, on windows that are
/// not calibrated with.</summary>
/// <param name="source">The dense model.</param>
/// <param name="runners">Calibration windows.</param>
/// <param name="meter">Windows to measure on.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts and between calls.</param>
internal sealed class Sensitivity(
    SublayerSource source, StackRunners runners, DivergenceMeter meter, int threads, CancellationToken cancellation)
{
    /// <summary>Experts whose error stands for that of all.</summary>
    public const int ErrorExperts = 8;

    /// <summary>Option that <see cref="AllocationMode.Fast"/> measures.</summary>
    public static readonly int Probe = IndexOf(new CodeOption(10, 1));

    /// <summary>Options whose error is measured; between them its logarithm follows the bits.</summary>
    public static readonly IReadOnlyList<int> Knots =
        [IndexOf(new(16, 1)), Probe, IndexOf(new(6, 1)), IndexOf(new(8, 2)), IndexOf(new(6, 3))];

    /// <summary>Whether every option is measured rather than one.</summary>
    public required bool Full { get; init; }

    /// <summary>Told how many of all cells are done.</summary>
    public Action<int, int>? Progress { get; init; }

    /// <summary>Walks through the stacks.</summary>
    /// <returns>A curve for every cell, in the order of the layers.</returns>
    public IReadOnlyList<CellCurve> Run()
    {
        var curves = new List<CellCurve>();
        var streams = new List<TokenRows>();
        int firstBlock = 0;
        try
        {
            foreach ((StackSpec spec, WindowRunner runner) in runners.Stacks)
            {
                EncodedWindows? encoded = streams.Count == 0 ? null : new(streams[^1], runner.Windows.Length);
                streams.Add(new TokenRows(runner.Rows, source.Description.Hidden));
                Walk(streams[^1], spec, runner, encoded, firstBlock, curves);
                firstBlock += spec.Blocks.Count;
            }
        }
        finally
        {
            streams.ForEach(rows => rows.Dispose());
        }

        return curves;
    }

    private void Walk(
        TokenRows residual, StackSpec spec, WindowRunner runner, EncodedWindows? encoded, int firstBlock,
        List<CellCurve> curves)
    {
        int total = StackWalk.Cells(source.Description).Count();
        using var streams = new DenseStream(residual);
        source.Embed(spec, runner, residual);
        for (int block = 0; block < spec.Blocks.Count; block++)
        {
            foreach (SublayerSpec sublayer in spec.Blocks[block].Sublayers)
            {
                using BuiltSublayer dense = source.Build(sublayer);
                runner.Normalize(dense.Norm, streams.Residual, streams.Inputs);
                if (sublayer.Layer is MoeSpec)
                {
                    curves.AddRange(Curves(streams, runner, sublayer, (RoutedLayer)dense.Layer, firstBlock + block));
                    Progress?.Invoke(curves.Count, total);
                }

                streams.Advance(runner, dense.Layer, encoded);
                meter.Advance();
            }
        }

        source.FinalNorm(spec, runner, residual);
    }

    private IEnumerable<CellCurve> Curves(
        DenseStream streams, WindowRunner runner, SublayerSpec sublayer, RoutedLayer layer, int block)
    {
        var moe = (MoeSpec)sublayer.Layer;
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
        Cell[] cells = [.. StackWalk.Cells(moe, block)];
        double[][] errors = Full
            ? []
            : probe.Errors(cells, [.. Knots.Select(knot => CodeOption.All[knot])], ErrorExperts);
        double[][] losses = Array.ConvertAll(cells, _ => new double[CodeOption.All.Count]);
        int[] options = Full ? [.. Enumerable.Range(0, CodeOption.All.Count)] : [Probe];
        foreach (int option in options)
        {
            CodebookGroup[] coded = probe.Code(cells, CodeOption.All[option]);
            for (int i = 0; i < cells.Length; i++)
            {
                using ProbedCell decoded = probe.Decode(cells[i], coded[i]);
                losses[i][option] = Measure(sublayer, cells[i], layer, decoded, tokens);
            }
        }

        return cells.Select((cell, i) => new CellCurve(cell, Full ? losses[i] : Scaled(losses[i][Probe], errors[i])));
    }

    /// <summary>The loss that was measured, scaled to all options by the layer's errors at the knots.</summary>
    private static double[] Scaled(double measured, double[] relativeErrors)
    {
        double[] errors = Array.ConvertAll(relativeErrors, error => Math.Log(Math.Max(error, 1e-12)));
        double probed = errors[Knots.ToList().IndexOf(Probe)];
        return [.. CodeOption.All.Select(
            option => measured * Math.Exp(Interpolate(option.CodeBits, errors) - probed))];
    }

    private static double Interpolate(double bits, double[] errors)
    {
        int right = 1;
        while (right < Knots.Count - 1 && CodeOption.All[Knots[right]].CodeBits < bits)
            right++;
        double from = CodeOption.All[Knots[right - 1]].CodeBits, to = CodeOption.All[Knots[right]].CodeBits;
        double share = (bits - from) / (to - from);
        return errors[right - 1] + (share * (errors[right] - errors[right - 1]));
    }

    private static int IndexOf(CodeOption option) => CodeOption.All.ToList().IndexOf(option);

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
