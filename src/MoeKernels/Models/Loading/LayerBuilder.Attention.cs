using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Loading;

/// <content>Attention with grouped key/value heads, and the rotary tables layers share.</content>
internal sealed unsafe partial class LayerBuilder
{
    private readonly Dictionary<RopeSpec, RopeTable> _ropes = [];

    /// <summary>See <see cref="RopeSpec.RoundToBFloat16"/>.</summary>
    public bool RoundRotaryToBFloat16 { get; init; }

    private AttentionLayer Attention(AttentionSpec spec) => WithState(new AttentionLayer(spec, new AttentionWeights
    {
        Query = binder.Linear(spec.Query),
        Key = binder.Linear(spec.Key),
        Value = binder.Linear(spec.Value),
        Output = binder.Linear(spec.Output),
        QueryNorm = spec.QueryNorm is null ? null : binder.Norm(spec.QueryNorm),
        KeyNorm = spec.KeyNorm is null ? null : binder.Norm(spec.KeyNorm),
        Rope = Rope(spec.Rope),
        RelativeBias = RelativeBias(spec),
        Sinks = spec.Sinks is null ? null : binder.Vector(spec.Sinks, spec.Heads),
    }));

    /// <summary>The table of a rotary embedding; equal specifications share one.</summary>
    private RopeTable? Rope(RopeSpec? spec)
    {
        if (spec is null)
            return null;
        spec = spec with { RoundToBFloat16 = RoundRotaryToBFloat16 };
        if (!_ropes.TryGetValue(spec, out RopeTable? table))
        {
            table = binder.Memory.Own(new RopeTable(spec));
            _ropes.Add(spec, table);
        }

        return table;
    }
}
