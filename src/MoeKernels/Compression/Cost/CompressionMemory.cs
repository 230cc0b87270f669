using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Packed;
using MoeKernels.Planning;

namespace MoeKernels.Compression;

/// <summary>What the stages of a compression keep in memory at a time: buffers by the sizes with which they are
/// allocated, and the pages of the model's files that are read in between.</summary>
/// <param name="sizes">Model and run.</param>
/// <param name="dense">What the dense model takes when it evaluates.</param>
internal sealed class CompressionMemory(RunSizes sizes, MemoryPlan dense)
{
    /// <summary>Tokens that <see cref="ExpertProblems"/> gathers, and that <see cref="DivergenceMeter"/>
    /// compares.</summary>
    private const int GatheredTokens = 256, ComparedTokens = 32;

    /// <summary>Compiled code, the collector's reserve and panels of the products, beyond what a process has when it
    /// plans. Measured on linux-x64: 45 to 60 MB.</summary>
    private const long RuntimeGrowth = 50_000_000;

    private const int Float = sizeof(float);

    private int Hidden => sizes.Model.Hidden;

    /// <summary>While cells are measured; 0 where they are not.</summary>
    public long Measuring()
    {
        if (!sizes.Measures)
            return 0;
        // Of an encoder its outputs stay: in the meter those of the dense model and others.
        bool encodes = sizes.Model.Encoder is not null;
        long streams = (long)Float * Hidden * (
            ((encodes ? 7L : 5) * sizes.Text.Measured.Tokens.Length) + ((encodes ? 4L : 3) * sizes.ProbedTokens));
        long logits = 3L * ComparedTokens * sizes.Model.VocabularySize * Float;
        long head = sizes.EdgeBytes(WeightRole.Head);
        long calls = 2 * sizes.Model.Stacks.Count * Calls();
        return RuntimeGrowth + streams + calls + logits + Math.Max(LayerBytes(), head)
            + Sparse().Max(moe => Probed(moe));
    }

    /// <summary>While layers are coded.</summary>
    public long Coding()
    {
        long streams = 5L * Float * Hidden * sizes.Tokens * sizes.Model.Stacks.Count;
        return RuntimeGrowth + streams + Calls() + LayerBytes() + Sparse().Max(Coded)
            + (sizes.Options.DenseBits is null ? 0 : Others());
    }

    /// <summary>While the result is compared with the dense model: both in full.</summary>
    public long Evaluating()
    {
        long logits = 2L * sizes.Text.Calibrated.Length * sizes.Model.VocabularySize * Float;
        long coded = OutputBytes() + (2 * dense.StateBytes) + (2 * dense.WorkspaceBytes) + (2 * dense.CopiedBytes);
        return RuntimeGrowth + dense.ExpertBytes + dense.OtherWeightBytes + coded + logits;
    }

    /// <summary>Bytes of the weights that are written.</summary>
    public long OutputBytes()
    {
        long experts = (long)(Sparse().Sum(Weights) * CodedBits() / 8);
        long others = sizes.Info.Bytes - sizes.Info.Parts.Where(part => part.Role == WeightRole.RoutedExperts)
            .Sum(part => part.Bytes);
        if (sizes.Options.DenseBits is { } bits)
        {
            others -= (long)sizes.OtherMatrices.Concat(sizes.EdgeMatrices)
                .Sum(matrix => (double)matrix.Rows * matrix.Columns * (16 - bits) / 8);
        }

        return experts + Math.Max(others, 0);
    }

    private IEnumerable<MoeSpec> Sparse() => sizes.Layers.OfType<MoeSpec>();

    private static long Weights(MoeSpec moe) => StackWalk.Cells(moe, 0).Sum(cell => cell.Weights);

    private double CodedBits() => sizes.Options.Method.HasBudget
        ? sizes.Options.Bits
        : sizes.Options.Method.IntegerBits + 0.4 ?? 1;

    /// <summary>Workspace and states of a <see cref="WindowRunner"/>.</summary>
    private long Calls()
    {
        int length = sizes.Text.Calibrated.Length;
        int windows = Math.Max(WindowRunner.CallTokens / length, 1);
        return (Float * Transformer.ScratchFloats(sizes.Model, windows * length, length, sizes.Threads))
            + (windows * sizes.Layers.Max(layer => layer.StateBytes(length)));
    }

    /// <summary>The largest layer in the files.</summary>
    private long LayerBytes()
    {
        long experts = sizes.Info.Parts.Where(part => part.Role == WeightRole.RoutedExperts).Sum(part => part.Bytes);
        return experts * Sparse().Max(Weights) / Sparse().Sum(Weights);
    }

    private long Probed(MoeSpec moe)
    {
        ExpertShape shape = ExpertShape.Of(moe);
        int samples = NetworkCompressor.SampleCount(
            moe.Router.Experts, (shape.InputFloats + shape.DownFloats) * Float);
        long kept = samples * (shape.InputFloats + shape.DownFloats) * Float;
        long targets = sizes.Threads * Targets(shape);
        int few = Math.Min(samples, Sensitivity.ErrorExperts);
        long training = Math.Min(sizes.Threads, shape.InputMatrices + 1) * Training(shape, samples);
        long errors = sizes.Threads * (Training(shape, few) + Quantizing(shape));
        long decoded = samples * shape.MatrixWeights * Float;
        return kept + Math.Max(Math.Max(targets, decoded), Math.Max(training, errors));
    }

    private long Coded(MoeSpec moe)
    {
        ExpertShape shape = ExpertShape.Of(moe);
        int experts = moe.Router.Experts;
        long codes = 2 * (long)(Weights(moe) * CodedBits() / 8);
        long routed = sizes.Tokens * (long)moe.Router.TopK * 4 * Float;
        long worker = Targets(shape) + (2L * shape.Hidden * shape.Hidden * Float) + Quantizing(shape)
            + (Math.Max(shape.InputFloats, shape.DownFloats + (2 * shape.MatrixWeights)) * Float);
        if (!sizes.Options.Method.HasBudget)
            return codes + routed + (sizes.Threads * worker);
        long inputs = Kept(experts, shape.InputFloats), downs = Kept(experts, shape.DownFloats);
        int samples = NetworkCompressor.SampleCount(experts, shape.InputFloats * Float);
        long training = Math.Min(sizes.Threads, 2) * Training(shape, samples);
        return codes + routed + Math.Max(inputs, downs) + Math.Max(training, sizes.Threads * worker);
    }

    private static long Kept(int experts, long floats) =>
        NetworkCompressor.SampleCount(experts, floats * Float) * floats * Float;

    /// <summary>A worker that makes targets: weights widened, and the tokens of a piece.</summary>
    private static long Targets(ExpertShape shape) => Float * (
        (((2 * shape.InputMatrices) + 1) * shape.MatrixWeights)
        + (2L * GatheredTokens * (shape.Hidden + shape.Intermediate)));

    private static long Quantizing(ExpertShape shape) => Float * (
        (3 * shape.MatrixWeights) + ((long)Widest(shape) * Widest(shape)));

    private static long Training(ExpertShape shape, int samples)
    {
        var options = new CodebookOptions(10, 1);
        long weights = Math.Min(options.SampleWeights, samples * shape.MatrixWeights);
        return Float * ((samples * (long)Widest(shape) * Widest(shape)) + (3 * weights)
            + ((long)options.InitialVectors * CodebookShape.MaxDimension));
    }

    private static int Widest(ExpertShape shape) => Math.Max(shape.Hidden, shape.Intermediate);

    /// <summary>The largest matrix that is no expert: widened, wanted and in the metric.</summary>
    private long Others()
    {
        long edge = sizes.EdgeMatrices.Max(matrix => (long)matrix.Rows * matrix.Columns);
        return Float * 5 * edge;
    }
}
