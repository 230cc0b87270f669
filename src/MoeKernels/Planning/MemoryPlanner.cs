using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;
using MoeKernels.Packed;

namespace MoeKernels.Planning;

/// <summary>Adds up what a model will take.</summary>
internal static class MemoryPlanner
{
    // Measured on linux-x64 as the peak of `moe generate` and of a program that uses the library, beyond weights,
    // caches and workspace: 49 to 51 MB.
    private const long RuntimeBytes = 50_000_000;

    // Peak while a tokenizer is read (file, text, id maps, merge ranks) per vocabulary entry, measured on 150,000.
    private const long TokenizerBytesPerEntry = 380;

    public static MemoryPlan Plan(
        ModelInfo info,
        ModelDescription model,
        HardwareInfo hardware,
        int contextLength,
        int prefillChunk,
        int sessions,
        int threads)
    {
        int chunk = Math.Min(prefillChunk, contextLength);
        long state = ModelInspector.Layers(model).Sum(layer => layer.StateBytes(contextLength));
        long workspace = sizeof(float) * Transformer.ScratchFloats(model, chunk, contextLength, threads);
        long experts = Bytes(info, WeightRole.RoutedExperts);
        long transposed = TransposedBytes(info, model);
        long active = info.Experts == 0 ? 0 : experts / info.Experts * info.ExpertsPerToken;
        return new MemoryPlan
        {
            ExpertBytes = experts - transposed,
            OtherWeightBytes = info.Bytes - experts,
            CopiedBytes = WidenedBytes(info) + CodebookBytes(info) + transposed + TernarySizes.TileBytes(info, model),
            StateBytes = state * sessions,
            WorkspaceBytes = (workspace + TableMemory.Bytes(info, model, chunk, threads)) * sessions,
            RuntimeBytes = RuntimeBytes + TokenizerBytes(info) + RotaryBytes(model, contextLength),
            ContextLength = contextLength,
            Sessions = sessions,
            PrefillChunk = chunk,
            Hardware = hardware,
            BytesPerToken = active + DenseBytesPerToken(info),
        };
    }

    private static long TokenizerBytes(ModelInfo info) =>
        File.Exists(Path.Combine(info.Path, "tokenizer.json")) ? info.Vocabulary * TokenizerBytesPerEntry : 0;

    private static long Bytes(ModelInfo info, WeightRole role) =>
        info.Parts.Where(part => part.Role == role).Sum(part => part.Bytes);

    /// <summary>Everything but the experts; of an embedding that is not the head only one row.</summary>
    private static long DenseBytesPerToken(ModelInfo info)
    {
        bool hasHead = info.Parts.Any(part => part.Role == WeightRole.Head);
        long embedding = Bytes(info, WeightRole.Embedding);
        long unread = hasHead ? embedding - (embedding / info.Vocabulary) : 0;
        return info.Bytes - Bytes(info, WeightRole.RoutedExperts) - unread;
    }

    /// <summary>Vectors become fp32 copies, and so do the biases of fused experts.</summary>
    private static long WidenedBytes(ModelInfo info) => info.Tensors
        .Where(tensor => tensor.Role != WeightRole.Unused && tensor.Type != ElementType.I32)
        .Where(tensor => !TernarySizes.IsPart(tensor) && (tensor.Shape.Count == 1
            || (tensor.Role == WeightRole.RoutedExperts && tensor.Name.EndsWith("_bias", StringComparison.Ordinal))))
        .Sum(tensor => tensor.Shape.Aggregate(1L, (product, extent) => product * extent) * sizeof(float));

    /// <summary>Codebooks are few and small, but copied, in the kernels' order.</summary>
    private static long CodebookBytes(ModelInfo info)
    {
        var names = info.Tensors.Select(tensor => tensor.Name).ToHashSet(StringComparer.Ordinal);
        return info.Coded.Where(stack => stack.Role != WeightRole.Unused).Sum(stack => CodedTensors.CopiedBytes(
            stack, names.Contains(stack.Name + CodebookTensors.InputsSuffix)));
    }

    /// <summary>Fused experts stored inputs first.</summary>
    private static long TransposedBytes(ModelInfo info, ModelDescription model)
    {
        var tensors = info.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        return ModelInspector.Layers(model).OfType<MoeSpec>().Sum(moe => TransposedBytes(tensors, moe.Experts));
    }

    private static long TransposedBytes(Dictionary<string, TensorSummary> tensors, ExpertsSpec experts) =>
        Find(tensors, experts.FusedGateUp) is { } gateUp && Find(tensors, experts.FusedDown) is { } down
            && FusedOrientation.IsTransposed(experts, gateUp.Shape, down.Shape)
            ? gateUp.Bytes + down.Bytes
            : 0;

    private static TensorSummary? Find(Dictionary<string, TensorSummary> tensors, TensorName name) =>
        name.Spellings.Select(spelling => tensors.GetValueOrDefault(spelling)).OfType<TensorSummary>().FirstOrDefault();

    /// <summary>Layers with the same rotary embedding share one table.</summary>
    private static long RotaryBytes(ModelDescription model, int contextLength) =>
        sizeof(float) * ModelInspector.Layers(model)
            .Select(layer => layer is AttentionSpec attention ? attention.Rope : (layer as MlaSpec)?.Rope)
            .OfType<RopeSpec>().Distinct().Sum(rope => RopeTable.Floats(rope, contextLength));
}
