using MoeKernels.Models.Description;

namespace MoeKernels.Planning;

/// <summary>Which module of a model description each tensor belongs to, and so what it is for.</summary>
internal sealed class WeightRoles
{
    private readonly Dictionary<string, WeightRole> _roles = new(StringComparer.Ordinal);

    public WeightRoles(ModelDescription model)
    {
        Add(model.Head.Module, WeightRole.Head);
        foreach (var stack in model.Stacks)
        {
            Add(stack.FinalNorm.Module, WeightRole.Norms);
            foreach (var sublayer in stack.Blocks.SelectMany(block => block.Sublayers))
            {
                Add(sublayer.Norm.Module, WeightRole.Norms);
                Add(sublayer.Layer);
            }

            // Last: a head that is tied to the embedding is the embedding.
            Add(stack.Embedding, WeightRole.Embedding);
        }
    }

    /// <summary>The role of a tensor: that of the longest module its name starts with.</summary>
    public WeightRole Of(string tensor)
    {
        for (string name = tensor; name.Length > 0; name = name[..Math.Max(name.LastIndexOf('.'), 0)])
        {
            if (_roles.TryGetValue(name, out var role))
            {
                return role;
            }
        }

        return WeightRole.Unused;
    }

    private void Add(LayerSpec layer)
    {
        switch (layer)
        {
            case AttentionSpec attention:
                Add(attention);
                break;
            case MlaSpec mla:
                Add(WeightRole.Attention, mla.Query, mla.QueryDown, mla.QueryUp, mla.KvDown, mla.KvUp, mla.Output);
                Add(mla.QueryNorm?.Module, WeightRole.Attention);
                Add(mla.KvNorm.Module, WeightRole.Attention);
                break;
            case DeltaNetSpec delta:
                Add(WeightRole.Attention, delta.QueryKeyValueGate, delta.BetaDecay, delta.Output);
                Add(delta.ConvWeight, WeightRole.Attention);
                Add(delta.DtBias, WeightRole.Attention);
                Add(delta.ALog, WeightRole.Attention);
                Add(delta.Norm.Module, WeightRole.Attention);
                break;
            case FeedForwardSpec network:
                Add(network, WeightRole.FeedForward);
                break;
            case MoeSpec moe:
                Add(moe);
                break;
            default:
                throw new InvalidOperationException($"No roles for {layer.GetType().Name}.");
        }
    }

    private void Add(AttentionSpec attention)
    {
        Add(WeightRole.Attention, attention.Query, attention.Key, attention.Value, attention.Output);
        Add(attention.QueryNorm?.Module, WeightRole.Attention);
        Add(attention.KeyNorm?.Module, WeightRole.Attention);
        Add(attention.Sinks, WeightRole.Attention);
        Add(attention.RelativeBias?.Tensor, WeightRole.Attention);
    }

    private void Add(MoeSpec moe)
    {
        Add(moe.RouterLinear.Module, WeightRole.Router);
        Add(moe.ChoiceBias, WeightRole.Router);
        Add(moe.ExpertScale, WeightRole.Router);
        Add(moe.Experts.Module, WeightRole.RoutedExperts);
        if (moe.Shared is { } shared)
        {
            Add(shared.Network, WeightRole.SharedExperts);
            Add(shared.Gate?.Module, WeightRole.SharedExperts);
        }
    }

    private void Add(FeedForwardSpec network, WeightRole role) => Add(role, network.Gate, network.Up, network.Down);

    private void Add(WeightRole role, params ReadOnlySpan<LinearSpec?> linears)
    {
        foreach (var linear in linears)
        {
            Add(linear?.Module, role);
        }
    }

    private void Add(TensorName? name, WeightRole role)
    {
        foreach (string alternative in name?.Spellings ?? [])
        {
            _roles[alternative] = role;
        }
    }
}
