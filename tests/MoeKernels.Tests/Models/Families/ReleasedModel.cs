using System.Globalization;
using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Models.Families;

/// <summary>The description of a released model, made from the config in <c>tests/data/configs</c>, and every tensor it
/// asks for with its shape.</summary>
internal sealed class ReleasedModel
{
    private readonly Dictionary<string, long[]> _tensors = new(StringComparer.Ordinal);

    public ReleasedModel(string name)
    {
        Config = ConfigReader.Open(RepositoryPaths.DataFile("configs", $"{name}.json"));
        Description = FamilyRegistry.Describe(Config);
        Add(Description.Head);
        foreach (StackSpec stack in Description.Stacks)
            Add(stack);
    }

    /// <summary>Names of all configs.</summary>
    public static IEnumerable<string> Names => Directory.GetFiles(RepositoryPaths.DataFile("configs"), "*.json")
        .Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal);

    public ConfigReader Config { get; }

    public ModelDescription Description { get; }

    /// <summary>Shapes by name, as the files were released.</summary>
    public IReadOnlyDictionary<string, long[]> Tensors => _tensors;

    /// <summary>Elements of all tensors.</summary>
    public long Parameters => _tensors.Values.Sum(shape => shape.Aggregate(1L, (product, extent) => product * extent));

    /// <summary>First sublayers of the decoder's blocks.</summary>
    public LayerSpec[] Mixers => [.. Description.Decoder.Blocks.Select(block => block.Sublayers[0].Layer)];

    /// <summary>Last sublayers of the decoder's blocks.</summary>
    public LayerSpec[] Networks => [.. Description.Decoder.Blocks.Select(block => block.Sublayers[^1].Layer)];

    /// <summary>The decoder's routed layers.</summary>
    public int[] MoeLayers => [.. Enumerable.Range(0, Networks.Length).Where(i => Networks[i] is MoeSpec)];

    public MoeSpec FirstMoe => Networks.OfType<MoeSpec>().First();

    /// <summary>Grouped attention of a decoder layer.</summary>
    public AttentionSpec Attention(int layer) => (AttentionSpec)Mixers[layer];

    /// <summary>Latent attention of a decoder layer.</summary>
    public MlaSpec Latent(int layer) => (MlaSpec)Mixers[layer];

    private void Add(TensorName name, params long[] shape) => _tensors[name.First] = shape;

    private void Add(LinearSpec? linear)
    {
        if (linear is null)
            return;
        Add(linear.Weight, linear.Outputs, linear.Inputs);
        if (linear.Bias != BiasRule.None)
            Add(linear.Module.With(".bias"), linear.Outputs);
    }

    private void Add(NormSpec? norm)
    {
        if (norm is null or { Kind: NormKind.RmsUnweighted })
            return;
        Add(norm.Module.With(".weight"), norm.Size);
        if (norm.Kind == NormKind.Layer)
            Add(norm.Module.With(".bias"), norm.Size);
    }

    private void Add(StackSpec stack)
    {
        Add(stack.Embedding, Description.VocabularySize, Description.Hidden);
        Add(stack.FinalNorm);
        foreach (SublayerSpec sublayer in stack.Blocks.SelectMany(block => block.Sublayers))
        {
            Add(sublayer.Norm);
            Add(sublayer.Layer);
        }
    }

    private void Add(LayerSpec layer)
    {
        switch (layer)
        {
            case AttentionSpec attention:
                Add(attention);
                break;
            case MlaSpec mla:
                Array.ForEach([mla.Query, mla.QueryDown, mla.QueryUp, mla.KvDown, mla.KvUp, mla.Output], Add);
                Add(mla.QueryNorm);
                Add(mla.KvNorm);
                break;
            case DeltaNetSpec delta:
                Array.ForEach([delta.QueryKeyValueGate, delta.BetaDecay, delta.Output], Add);
                Add(delta.ConvWeight, delta.Channels, 1, delta.ConvKernel);
                Add(delta.DtBias, delta.ValueHeads);
                Add(delta.ALog, delta.ValueHeads);
                Add(delta.Norm);
                break;
            case FeedForwardSpec network:
                Array.ForEach([network.Gate, network.Up, network.Down], Add);
                break;
            case MoeSpec moe:
                Add(moe);
                break;
        }
    }

    private void Add(AttentionSpec attention)
    {
        Array.ForEach([attention.Query, attention.Key, attention.Value, attention.Output], Add);
        Add(attention.QueryNorm);
        Add(attention.KeyNorm);
        if (attention.Sinks is { } sinks)
            Add(sinks, attention.Heads);
        if (attention.RelativeBias is { } bias)
            Add(bias.Tensor, bias.Buckets, attention.Heads);
    }

    private void Add(MoeSpec moe)
    {
        int experts = moe.Router.Experts;
        Add(moe.RouterLinear);
        if (moe.ChoiceBias is { } choice)
            Add(choice, experts);
        if (moe.ExpertScale is { } scale)
            Add(scale, experts);
        if (moe.Shared is { } shared)
        {
            Add(shared.Network);
            Add(shared.Gate);
        }

        if (moe.Experts.FusedIsTransposed is not null)
            AddFused(moe.Experts, experts);
        else
            AddSingle(moe.Experts, moe.Activation, experts);
    }

    private void AddFused(ExpertsSpec spec, int experts)
    {
        Add(spec.FusedGateUp, experts, spec.Hidden, 2 * spec.Intermediate);
        Add(spec.FusedDown, experts, spec.Intermediate, spec.Hidden);
        if (spec.Bias == BiasRule.None)
            return;
        Add(spec.FusedGateUp.With("_bias"), experts, 2 * spec.Intermediate);
        Add(spec.FusedDown.With("_bias"), experts, spec.Hidden);
    }

    private void AddSingle(ExpertsSpec spec, Activation activation, int experts)
    {
        for (int e = 0; e < experts; e++)
        {
            string id = e.ToString(CultureInfo.InvariantCulture);
            TensorName expert = spec.Module.With(
                $".{spec.ExpertFormat.Replace("{0}", id, StringComparison.Ordinal)}");
            if (activation.Gated)
                Add(new LinearSpec(expert.With($".{spec.Gate}"), spec.Intermediate, spec.Hidden, spec.Bias));
            Add(new LinearSpec(expert.With($".{spec.Up}"), spec.Intermediate, spec.Hidden, spec.Bias));
            Add(new LinearSpec(expert.With($".{spec.Down}"), spec.Hidden, spec.Intermediate, spec.Bias));
        }
    }
}
