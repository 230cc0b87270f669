using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Planning;

/// <summary>What QMoE's codewords stand for and become in memory, from the headers alone.</summary>
internal static class TernarySizes
{
    /// <summary>Members a codeword stands for: 2.50 at the dictionary's own 88.5 % zeros, 2.74 at 85 %.</summary>
    private const double MembersPerCodeword = 2.6;

    /// <summary>Whether a tensor is a part of a matrix in codewords.</summary>
    public static bool IsPart(TensorSummary tensor) => tensor.Name.Contains(".qmoe.", StringComparison.Ordinal);

    /// <summary>Experts in codewords, by layer and kind.</summary>
    public static IEnumerable<CodedStack> Stacks(Checkpoint checkpoint, IReadOnlyList<MoeSpec> moe) =>
        from layer in moe
        let experts = layer.Experts
        from kind in new[] { layer.Activation.Gated ? experts.Gate : null, experts.Up, experts.Down }.OfType<string>()
        let tensors = Tensors(checkpoint, layer, kind)
        where tensors.Length > 0
        let isDown = kind == experts.Down
        select new CodedStack(
            experts.Stack(kind).First, WeightRole.RoutedExperts, layer.Router.Experts,
            isDown ? experts.Hidden : experts.Intermediate, isDown ? experts.Intermediate : experts.Hidden, 0, 0, 0,
            tensors.Sum(tensor => tensor.ByteLength))
        {
            Encoding = CodedStack.Ternary,
        };

    /// <summary>Weights of a matrix, counted with its levels.</summary>
    public static long Parameters(TensorSummary tensor, IReadOnlyList<MoeSpec> moe) =>
        tensor.Name.EndsWith(QmoeTensors.Levels, StringComparison.Ordinal) && tensor.Shape.Count == 2
            ? tensor.Shape[0] * Columns(tensor.Shape[0], moe)
            : 0;

    /// <summary>Bytes of all tiles, expected: the members themselves are not counted before loading.</summary>
    public static long TileBytes(ModelInfo info, ModelDescription model)
    {
        MoeSpec[] moe = [.. ModelInspector.Layers(model).OfType<MoeSpec>()];
        return info.Tensors.Where(IsPart).Sum(tensor => TileBytes(tensor, moe));
    }

    private static long TileBytes(TensorSummary tensor, MoeSpec[] moe)
    {
        if (tensor.Name.EndsWith(QmoeTensors.Codes, StringComparison.Ordinal))
            return (long)(MembersPerCodeword * tensor.Shape[0]);
        if (!tensor.Name.EndsWith(QmoeTensors.Levels, StringComparison.Ordinal) || tensor.Shape.Count != 2)
            return 0;

        long bands = (tensor.Shape[0] + TernaryTileShape.BandRows - 1) / TernaryTileShape.BandRows;
        long tiles = (Columns(tensor.Shape[0], moe) + TernaryTileShape.TileColumns - 1) / TernaryTileShape.TileColumns;
        const int LevelBytes = 2 * sizeof(ushort);
        int headerBytes = TernaryTile.HeaderBytes + TernaryTileShape.BandRows + sizeof(uint);
        return bands * ((tiles * headerBytes) + (TernaryTileShape.BandRows * LevelBytes));
    }

    /// <summary>Experts map the residual stream to their inner width and back.</summary>
    private static long Columns(long rows, IReadOnlyList<MoeSpec> moe)
    {
        if (moe.FirstOrDefault(layer => layer.Experts.Intermediate == rows) is { } up)
            return up.Experts.Hidden;
        return moe.FirstOrDefault(layer => layer.Experts.Hidden == rows)?.Experts.Intermediate ?? 0;
    }

    /// <summary>What is stored of a layer's matrices of one kind.</summary>
    private static Tensor[] Tensors(Checkpoint checkpoint, MoeSpec layer, string kind) =>
    [
        .. from expert in Enumerable.Range(0, layer.Router.Experts)
        from spelling in layer.Experts.Expert(expert, kind).Spellings
        from suffix in new[] { QmoeTensors.Codes, QmoeTensors.RowOffsets, QmoeTensors.Levels }
        where checkpoint.Contains(spelling + suffix)
        select checkpoint.Get(spelling + suffix),
    ];
}
