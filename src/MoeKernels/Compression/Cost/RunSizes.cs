using MoeKernels.Models.Description;
using MoeKernels.Planning;

namespace MoeKernels.Compression;

/// <summary>What a compression's cost follows from: sizes of the model and of the run.</summary>
internal sealed record RunSizes
{
    /// <summary>The model.</summary>
    public required ModelDescription Model { get; init; }

    /// <summary>Settings.</summary>
    public required CompressOptions Options { get; init; }

    /// <summary>The texts.</summary>
    public required RunText Text { get; init; }

    /// <summary>What the folder holds.</summary>
    public required ModelInfo Info { get; init; }

    /// <summary>Worker threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Every sublayer, encoder first.</summary>
    public IReadOnlyList<LayerSpec> Layers =>
        [.. Model.Stacks.SelectMany(stack => stack.Blocks).SelectMany(block => block.Sublayers)
            .Select(part => part.Layer)];

    /// <summary>Calibration tokens.</summary>
    public int Tokens => Text.Calibrated.Tokens.Length;

    /// <summary>Tokens of the stream that goes through the dense model while cells are measured.</summary>
    public int ProbedTokens => Math.Max(Text.Calibrated.Count / 2, 1) * Text.Calibrated.Length;

    /// <summary>Whether cells are measured.</summary>
    public bool Measures => Options.Method.HasBudget && Options.Allocation != AllocationMode.Uniform;

    /// <summary>How experts and other matrices are coded on average.</summary>
    public CodeOption Option => CodeOption.Nearest(Options.Bits);

    /// <summary>Sizes of the matrices that <see cref="CompressOptions.DenseBits"/> is about, inside the
    /// layers.</summary>
    public IEnumerable<(int Rows, int Columns)> OtherMatrices =>
        Matrices(WeightRole.Attention, WeightRole.SharedExperts, WeightRole.FeedForward);

    /// <summary>Embeddings and head.</summary>
    public IEnumerable<(int Rows, int Columns)> EdgeMatrices => Matrices(WeightRole.Embedding, WeightRole.Head);

    /// <summary>Bytes of the parts with a role; of the embedding where nothing else is the head.</summary>
    public long EdgeBytes(WeightRole role)
    {
        long bytes = Info.Parts.Where(part => part.Role == role).Sum(part => part.Bytes);
        return bytes > 0 || role != WeightRole.Head ? bytes : EdgeBytes(WeightRole.Embedding);
    }

    private IEnumerable<(int Rows, int Columns)> Matrices(params WeightRole[] roles) => Info.Tensors
        .Where(tensor => roles.Contains(tensor.Role) && tensor.Shape.Count == 2
            && tensor.Shape.All(extent => extent >= LinearCoder.FewestRows))
        .Select(tensor => ((int)tensor.Shape[0], (int)tensor.Shape[1]));
}
