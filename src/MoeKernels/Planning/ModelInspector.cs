using System.Globalization;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Planning;

/// <summary>Summarises a model folder from its description and tensor headers.</summary>
internal static class ModelInspector
{
    public static ModelInfo Inspect(ModelFolder folder, ModelDescription model)
    {
        var checkpoint = folder.Checkpoint;
        var roles = new WeightRoles(model);
        var coded = new CodedTensors(checkpoint, roles);
        TensorSummary[] tensors =
        [
            .. checkpoint.Names.Order(StringComparer.Ordinal).Select(checkpoint.Get).Select(tensor => new TensorSummary(
                tensor.Name, tensor.ElementType, tensor.Shape, tensor.ByteLength, roles.Of(tensor.Name))),
        ];
        MoeSpec[] moe = [.. Layers(model).OfType<MoeSpec>()];
        return new ModelInfo
        {
            Path = folder.Path,
            TransformersVersion = folder.Config.OptionalString("transformers_version"),
            Family = model.Family,
            IsEncoderDecoder = model.Encoder is not null,
            Layers = model.Decoder.Blocks.Count + (model.Encoder?.Blocks.Count ?? 0),
            MoeLayers = moe.Length,
            Hidden = model.Hidden,
            Vocabulary = model.VocabularySize,
            MaxContext = model.MaxContext,
            Experts = moe.Select(layer => layer.Router.Experts).DefaultIfEmpty().Max(),
            ExpertsPerToken = moe.Select(layer => layer.Router.TopK).DefaultIfEmpty().Max(),
            Routers = [.. moe.Select(layer => $"{layer.TraceModule}: {Describe(layer.Router)}")],
            Parts =
            [
                .. Enum.GetValues<WeightRole>().Select(role => Part(role, tensors, coded, moe))
                    .Where(part => part.Bytes > 0),
            ],
            Coded =
            [
                .. coded.Stacks.Concat(TernarySizes.Stacks(checkpoint, moe))
                    .OrderBy(stack => stack.Name, StringComparer.Ordinal),
            ],
            Tensors = tensors,
            Files = checkpoint.Files,
        };
    }

    /// <summary>Every sublayer of a model, encoder first.</summary>
    public static IEnumerable<LayerSpec> Layers(ModelDescription model) =>
        from stack in model.Stacks
        from block in stack.Blocks
        from sublayer in block.Sublayers
        select sublayer.Layer;

    private static ModelPart Part(WeightRole role, TensorSummary[] tensors, CodedTensors coded, MoeSpec[] moe)
    {
        var own = tensors.Where(tensor => tensor.Role == role);
        long parameters = own.Where(tensor => !coded.IsPart(tensor.Name)).Sum(
                tensor => TernarySizes.IsPart(tensor) ? TernarySizes.Parameters(tensor, moe) : Parameters(tensor))
            + coded.Stacks.Where(stack => stack.Role == role).Sum(stack => stack.Weights);
        return new ModelPart(role, parameters, own.Sum(tensor => tensor.Bytes));
    }

    /// <summary>Numbers of the trained model in a tensor: two per byte of MXFP4 blocks, none in scales.</summary>
    private static long Parameters(TensorSummary tensor)
    {
        string[] scales = ["_scales", "_scale_inv", "weight_scale", "input_scale"];
        if (scales.Any(ending => tensor.Name.EndsWith(ending, StringComparison.Ordinal)))
        {
            return 0;
        }

        long elements = tensor.Shape.Aggregate(1L, (product, extent) => product * extent);
        return tensor.Name.EndsWith("_blocks", StringComparison.Ordinal) ? elements * 2 : elements;
    }

    private static string Describe(RouterSpec router)
    {
        var invariant = CultureInfo.InvariantCulture;
        List<string> words = [string.Create(invariant, $"top-{router.TopK} of {router.Experts}"), $"{router.Score}"];
        if (router.Groups > 1)
        {
            words.Add(string.Create(invariant, $"{router.Groups} groups, {router.Grouping}"));
        }

        words.Add($"normalize {router.Normalize}");
        if (router.Scale != 1)
        {
            words.Add(string.Create(invariant, $"scale {router.Scale}"));
        }

        return string.Join(", ", words);
    }
}
