using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;

namespace MoeKernels.Compression;

/// <summary>Builds single parts of a model, dense or with some matrices replaced, for as long as they are
/// needed.</summary>
internal sealed class SublayerSource(ModelFolder folder, ModelDescription description)
{
    /// <summary>The model as data.</summary>
    public ModelDescription Description => description;

    /// <summary>Its folder.</summary>
    public ModelFolder Folder => folder;

    /// <summary>Gives back the memory of all weights that were read: a run holds one layer at a time, though the files
    /// stay mapped.</summary>
    public void ReleasePages() => folder.Checkpoint.ReleasePages();

    /// <summary>Builds a norm and its layer.</summary>
    /// <param name="spec">Which.</param>
    /// <param name="replaced">Matrices in place of the folder's, by stack name; null for none.</param>
    public BuiltSublayer Build(SublayerSpec spec, IReadOnlyDictionary<string, WeightMatrix[]>? replaced = null)
    {
        var memory = new ModelMemory(new Unowned());
        try
        {
            var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory, replaced);
            NormLayer norm = binder.Norm(spec.Norm);
            return new BuiltSublayer(norm, new LayerBuilder(binder).Build(spec.Layer), memory, binder.Single);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Looks all tokens of a stack up.</summary>
    public void Embed(
        StackSpec spec, WindowRunner runner, TokenRows hidden,
        IReadOnlyDictionary<string, WeightMatrix[]>? replaced = null)
    {
        using var memory = new ModelMemory(new Unowned());
        var builder = new LayerBuilder(new WeightBinder(folder.Checkpoint, folder.Config, memory, replaced));
        StackInput input = builder.BuildInput(
            spec, description.VocabularySize, description.Hidden, cached: !runner.IsEncoder);
        runner.Embed(input, builder.Stateful.FirstOrDefault(), hidden);
    }

    /// <summary>Applies a stack's last norm in place.</summary>
    public void FinalNorm(StackSpec spec, WindowRunner runner, TokenRows hidden)
    {
        using var memory = new ModelMemory(new Unowned());
        var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory);
        runner.Normalize(binder.Norm(spec.FinalNorm), hidden, hidden);
    }

    /// <summary>A single matrix of the folder; valid as long as the folder.</summary>
    public WeightMatrix Matrix(TensorName name, int rows, int columns)
    {
        using var memory = new ModelMemory(new Unowned());
        return new WeightBinder(folder.Checkpoint, folder.Config, memory).Matrix(name, rows, columns);
    }

    /// <summary>Builds the head; the caller disposes the memory.</summary>
    public (LinearWeights Head, ModelMemory Memory) BuildHead()
    {
        var memory = new ModelMemory(new Unowned());
        try
        {
            var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory);
            return (binder.Linear(description.Head), memory);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }
}

/// <summary>For memory whose files stay open elsewhere.</summary>
internal sealed class Unowned : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
    }
}

/// <summary>A norm and its layer.</summary>
/// <param name="Norm">The norm.</param>
/// <param name="Layer">The layer.</param>
/// <param name="Memory">What both own.</param>
/// <param name="Matrices">The layer's single matrices by first name, experts' included where each is a tensor.</param>
internal sealed record BuiltSublayer(
    NormLayer Norm, Layer Layer, ModelMemory Memory,
    IReadOnlyDictionary<string, (TensorName Name, WeightMatrix Matrix)> Matrices) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Memory.Dispose();
}
