using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Codes one layer after the other and writes its file; layers whose file is there are read instead.</summary>
/// <param name="run">The run.</param>
/// <param name="experts">Codes routed experts.</param>
/// <param name="linears">Codes what is no routed expert; null leaves it alone.</param>
/// <param name="cancellation">Stops between experts.</param>
internal sealed class LayerCoder(
    CompressionRun run, IExpertCoder experts, LinearCoder? linears, CancellationToken cancellation)
{
    private int _next;

    /// <summary>Codes a layer.</summary>
    /// <param name="spec">The layer.</param>
    /// <param name="dense">Its dense matrices.</param>
    /// <param name="calibrate">Makes what the text says about its experts.</param>
    /// <param name="observe">Runs the layer and accumulates the inputs of some of its matrices.</param>
    /// <returns>The coded matrices; null when nothing of the layer is coded.</returns>
    public ReplacedMatrices? Code(
        SublayerSpec spec, BuiltSublayer dense, Func<NetworkCalibration> calibrate,
        Func<IEnumerable<WeightMatrix>, InputMoments> observe)
    {
        var moe = spec.Layer as MoeSpec;
        Dictionary<string, WeightMatrix> others = Others(dense, moe);
        if (moe is null && others.Count == 0)
            return null;

        string path = run.LayerPath(_next++);
        if (!run.IsCoded(path))
            Write(path, moe, others, calibrate, observe);
        LayerFile file = LayerFile.Read(path);
        ReplacedMatrices replaced = ReplacedMatrices.Open(path, moe);
        if (moe is not null)
        {
            run.Layers.Add(file);
            run.Replaced.UnionWith(SourceNames.Of(moe));
        }

        foreach (string name in replaced.Views.Keys.Where(dense.Matrices.ContainsKey))
            run.Replaced.UnionWith(SourceNames.Of(dense.Matrices[name].Name));
        run.ReportCoded();
        return replaced;
    }

    private Dictionary<string, WeightMatrix> Others(BuiltSublayer dense, MoeSpec? moe)
    {
        if (linears is null)
            return [];
        var routed = moe is null ? [] : SourceNames.Of(moe).Append(moe.RouterLinear.Weight.First).ToHashSet();
        return dense.Matrices.Where(pair => !routed.Contains(pair.Key) && LinearCoder.Takes(pair.Value.Matrix))
            .ToDictionary(pair => pair.Key, pair => pair.Value.Matrix);
    }

    private void Write(
        string path, MoeSpec? moe, Dictionary<string, WeightMatrix> others, Func<NetworkCalibration> calibrate,
        Func<IEnumerable<WeightMatrix>, InputMoments> observe)
    {
        using var tensors = new LayerTensors();
        LayerFile file = moe is null ? LayerFile.Empty : experts.Code(moe, calibrate(), tensors);
        if (others.Count > 0)
        {
            using InputMoments moments = observe(others.Values);
            linears!.Code(others, moments, tensors);
        }

        tensors.Save(path, file, cancellation);
        run.KeepCoded(path);
    }
}
