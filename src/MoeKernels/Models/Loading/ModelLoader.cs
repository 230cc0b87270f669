using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Families;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Placement;

namespace MoeKernels.Models.Loading;

/// <summary>From a model folder to a model that runs.</summary>
internal static class ModelLoader
{
    /// <summary>Loads a folder.</summary>
    /// <param name="folder">The open folder; the model takes it over, also when loading fails.</param>
    /// <param name="prefetch">Read all weights now rather than when a layer first touches them.</param>
    /// <param name="progress">Told the bytes read, when weights are read ahead.</param>
    /// <param name="roundRotaryToBFloat16">See <see cref="RopeSpec.RoundToBFloat16"/>.</param>
    /// <param name="exactTernary">Whether ternary matrices become dense ones.</param>
    /// <param name="placement">Puts the layers on a device, and is disposed with the model, also when loading fails;
    /// null for the CPU.</param>
    /// <param name="cancellation">Stops between layers and between pieces of a file.</param>
    /// <exception cref="MoeFormatException">A file, key or tensor is missing or wrong.</exception>
    /// <exception cref="MoeUnsupportedException">The model needs something this library does not do.</exception>
    /// <exception cref="MoeOutOfMemoryException">Copies of weights do not fit the memory.</exception>
    public static async Task<Transformer> LoadAsync(
        ModelFolder folder,
        bool prefetch = true,
        IProgress<LoadProgress>? progress = null,
        bool roundRotaryToBFloat16 = false,
        bool exactTernary = false,
        DevicePlacement? placement = null,
        CancellationToken cancellation = default)
    {
        var memory = new ModelMemory(folder);
        if (placement is not null)
            memory.Own(placement);
        try
        {
            ModelDescription description = FamilyRegistry.Describe(folder.Config);
            if (prefetch)
                folder.Checkpoint.UseHugePages();
            var binder = new WeightBinder(folder.Checkpoint, folder.Config, memory, exactTernary: exactTernary);
            TransformerParts parts = Bind(binder, description, roundRotaryToBFloat16, cancellation);
            if (prefetch)
            {
                await folder.Checkpoint.PrefetchAsync(binder.BoundTensors, progress, cancellation)
                    .ConfigureAwait(false);
            }

            if (placement is not null)
                parts = placement.Place(parts, description, cancellation);
            return new Transformer(description, memory, parts);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    private static TransformerParts Bind(
        WeightBinder binder, ModelDescription description, bool roundRotary, CancellationToken cancellation)
    {
        var builder = new LayerBuilder(binder) { RoundRotaryToBFloat16 = roundRotary };
        (int vocabulary, int hidden) = (description.VocabularySize, description.Hidden);
        StackInput input = builder.BuildInput(description.Decoder, vocabulary, hidden, cached: true);
        Stack stack = builder.Build(description.Decoder, hidden, cancellation);
        EncoderParts? encoder = description.Encoder is not { } spec ? null : new EncoderParts(
            builder.BuildInput(spec, vocabulary, hidden, cached: false),
            builder.Build(spec, hidden, cancellation),
            builder.Readers);
        var head = new HostHead(binder.Linear(description.Head));
        return new TransformerParts(input, stack, head, builder.Stateful, encoder);
    }
}
