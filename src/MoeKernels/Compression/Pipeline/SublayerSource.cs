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

    /// <summary>Builds a norm and its layer.</summary>
    /// <param name="spec">Which.</param>
    /// <param name="replaced">Matrices in place of the folder's, by stack name; null for none.</param>
    public BuiltSublayer Build(SublayerSpec spec, IReadOnlyDictionary<string, WeightMatrix[]>? replaced = null)
    {
        var memory = new ModelMemory(new Nothing());
        try
        {
            var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory, replaced);
            return new BuiltSublayer(binder.Norm(spec.Norm), new LayerBuilder(binder).Build(spec.Layer), memory);
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
        using var memory = new ModelMemory(new Nothing());
        var builder = new LayerBuilder(new WeightBinder(folder.Checkpoint, folder.Config, memory, replaced));
        StackInput input = builder.BuildInput(
            spec, description.VocabularySize, description.Hidden, cached: !runner.IsEncoder);
        runner.Embed(input, builder.Stateful.FirstOrDefault(), hidden);
    }

    /// <summary>Applies a stack's last norm in place.</summary>
    public void FinalNorm(StackSpec spec, WindowRunner runner, TokenRows hidden)
    {
        using var memory = new ModelMemory(new Nothing());
        var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory);
        runner.Normalize(binder.Norm(spec.FinalNorm), hidden, hidden);
    }

    /// <summary>Builds the head; the caller disposes the memory.</summary>
    public (LinearWeights Head, ModelMemory Memory) BuildHead(
        IReadOnlyDictionary<string, WeightMatrix[]>? replaced = null)
    {
        var memory = new ModelMemory(new Nothing());
        try
        {
            var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory, replaced);
            return (binder.Linear(description.Head), memory);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>The parts' files stay open with the folder.</summary>
    private sealed class Nothing : IDisposable
    {
        public void Dispose()
        {
        }
    }
}

/// <summary>A norm and its layer with the memory they own.</summary>
internal sealed record BuiltSublayer(NormLayer Norm, Layer Layer, ModelMemory Memory) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Memory.Dispose();
}
