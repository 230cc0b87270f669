using MoeKernels.Interop;
using MoeKernels.Router;

namespace MoeKernels.Cuda;

/// <summary>A <see cref="RouterSpec"/> in the native library's words; the enumerations have the same numbers, which a
/// test holds.</summary>
internal static unsafe class DeviceRouting
{
    /// <summary>The rules of a router, without its vectors.</summary>
    public static moek_router_desc Describe(RouterSpec spec)
    {
        moek_router_desc desc;
        Moek.moek_router_desc_init(&desc);
        (desc.experts, desc.top_k) = (spec.Experts, spec.TopK);
        (desc.score, desc.norm) = ((int)spec.Score, (int)spec.Normalize);
        (desc.group_rule, desc.groups, desc.kept_groups) = ((int)spec.Grouping, spec.Groups, spec.KeptGroups);
        (desc.scale, desc.output_factor) = (spec.Scale, spec.OutputFactor);
        desc.flags = Flags(spec);
        (desc.capacity, desc.capacity_tokens) = ((int)spec.Capacity.Kind, spec.Capacity.Tokens);
        (desc.capacity_factor, desc.capacity_alignment) = (spec.Capacity.Factor, spec.Capacity.Alignment);
        return desc;
    }

    private static uint Flags(RouterSpec spec)
    {
        int flags = 0;
        if (spec.ApplyToInput)
            flags |= Moek.MOEK_ROUTER_APPLY_TO_INPUT;
        if (spec.MaskedChoice == 0f)
            flags |= Moek.MOEK_ROUTER_MASKED_ZERO;
        if (spec.SkipPadding)
            flags |= Moek.MOEK_ROUTER_SKIP_PADDING;
        if (spec.Capacity.Prioritized)
            flags |= Moek.MOEK_ROUTER_PRIORITIZED;
        if (spec.CanDrop && spec.Capacity.NormalizeSurvivors)
            flags |= Moek.MOEK_ROUTER_NORMALIZE_SURVIVORS;
        if (spec.Capacity.Drop == DropRule.ScaledInput)
            flags |= Moek.MOEK_ROUTER_DROP_INPUT;
        return (uint)flags;
    }
}
