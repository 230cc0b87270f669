using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Codes what lies before the first and behind the last layer: embeddings and head.</summary>
/// <param name="source">The dense model.</param>
/// <param name="linears">How matrices are coded.</param>
/// <param name="run">Where files go.</param>
/// <param name="cancellation">Stops between matrices.</param>
internal sealed unsafe class EdgeCoder(
    SublayerSource source, LinearCoder linears, CompressionRun run, CancellationToken cancellation) : IDisposable
{
    private const string EmbeddingFile = "coded-embedding.safetensors", HeadFile = "coded-head.safetensors";

    private readonly Scratch _scratch = new();

    private ModelDescription Model => source.Description;

    private bool HeadIsEmbedding => Model.Head.Weight.Spellings.Intersect(Model.Decoder.Embedding.Spellings).Any();

    /// <summary>Codes the embeddings, by rounding: each row is one token's.</summary>
    public ReplacedMatrices Embeddings()
    {
        TensorName[] names = [.. Model.Stacks.Select(stack => stack.Embedding).DistinctBy(name => name.First)];
        return Code(EmbeddingFile, names, null);
    }

    /// <summary>Codes the head for the outputs of the last norm, unless it is the embedding.</summary>
    public void Head(TokenRows outputs)
    {
        if (HeadIsEmbedding)
            return;
        using NativeBuffer moments = NativeBuffer.AllocateZeroed(
            sizeof(float) * (long)outputs.Width * outputs.Width, "moments of the head's inputs");
        int rows = Math.Min(outputs.Rows, InputMoments.MaxTokens);
        Gemm.AddMoments(
            new MatrixView(outputs.Data, outputs.Width), rows, outputs.Width, (float*)moments.Pointer, _scratch);
        Code(HeadFile, [Model.Head.Weight], (float*)moments.Pointer).Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => _scratch.Dispose();

    private ReplacedMatrices Code(string file, TensorName[] names, float* moments)
    {
        string path = run.FilePath(file);
        if (!run.IsCoded(path))
            Write(path, names, moments);
        foreach (TensorName name in names)
            run.Replaced.UnionWith(SourceNames.Of(name));
        return ReplacedMatrices.Open(path);
    }

    private void Write(string path, TensorName[] names, float* moments)
    {
        using var tensors = new LayerTensors();
        foreach (TensorName name in names)
        {
            cancellation.ThrowIfCancellationRequested();
            WeightMatrix matrix = source.Matrix(name, Model.VocabularySize, Model.Hidden);
            tensors.Add(name.First, linears.Code(matrix, moments, _scratch));
        }

        tensors.Save(path, LayerFile.Empty, cancellation);
        run.KeepCoded(path);
    }
}
