using System.Globalization;
using MoeKernels.Experts;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Description;

/// <summary>Names and layouts of a layer's routed experts. The loader takes whichever layout the files have.</summary>
internal sealed record ExpertsSpec
{
    /// <summary>Module of the experts, for example <c>model.layers.0.mlp.experts</c>.</summary>
    public required TensorName Module { get; init; }

    /// <summary>Inputs and outputs of an expert.</summary>
    public required int Hidden { get; init; }

    public required int Intermediate { get; init; }

    /// <summary>Names inside one expert's module: <c>gate_proj</c> or <c>w1</c>; null when the activation is not
    /// gated.</summary>
    public string? Gate { get; init; } = "gate_proj";

    public string Up { get; init; } = "up_proj";

    public string Down { get; init; } = "down_proj";

    /// <summary>Module of one expert under <see cref="Module"/>, <c>{0}</c> being its id.</summary>
    public string ExpertFormat { get; init; } = "{0}";

    public BiasRule Bias { get; init; }

    /// <summary>Gate and up of all experts in one tensor, where the files have it.</summary>
    public TensorName FusedGateUp => Module.With(".gate_up_proj");

    /// <summary>Down of all experts in one tensor.</summary>
    public TensorName FusedDown => Module.With(".down_proj");

    /// <summary>All experts' matrices of one kind (<see cref="Gate"/>, <see cref="Up"/> or <see cref="Down"/>) as one
    /// stack of codebook or integer matrices.</summary>
    public TensorName Stack(string kind) => Module.With($".{kind}.weight");

    /// <summary>Module of one expert's matrix of a kind.</summary>
    public TensorName Expert(int expert, string kind)
    {
        string id = expert.ToString(CultureInfo.InvariantCulture);
        return Module.With($".{ExpertFormat.Replace("{0}", id, StringComparison.Ordinal)}.{kind}");
    }

    public GateUpOrder FusedOrder { get; init; }

    /// <summary>Orientation of fused tensors when the shapes cannot tell: true for [E, inputs, outputs] (Llama-4,
    /// GPT-OSS).</summary>
    public bool? FusedIsTransposed { get; init; }
}

/// <summary>A shared expert beside the routed ones: every token passes it.</summary>
/// <param name="Network">The network itself.</param>
/// <param name="Gate">[1 × hidden]; its sigmoid multiplies the output when present (Qwen2-MoE, Qwen3-Next).</param>
internal sealed record SharedExpertSpec(FeedForwardSpec Network, LinearSpec? Gate = null);

/// <summary>A mixture-of-experts feed-forward layer.</summary>
internal sealed record MoeSpec : LayerSpec
{
    public required RouterSpec Router { get; init; }

    /// <summary>[experts × hidden], with bias where the family has one.</summary>
    public required LinearSpec RouterLinear { get; init; }

    /// <summary>Per-expert bias that takes part in choosing only (<c>e_score_correction_bias</c>).</summary>
    public TensorName? ChoiceBias { get; init; }

    /// <summary>Per-expert factor of the routing weights (<c>router_scale</c>); ones when the file lacks it.</summary>
    public TensorName? ExpertScale { get; init; }

    public required ExpertsSpec Experts { get; init; }

    public required Activation Activation { get; init; }

    public SharedExpertSpec? Shared { get; init; }

    /// <summary>Module path under which the router's trace is recorded, in the names of transformers 5.</summary>
    public required string TraceModule { get; init; }

    /// <summary>What a trace records of the router.</summary>
    public RouterTraceForm TraceForm { get; init; }

    /// <inheritdoc/>
    public override long ScratchFloats(int rows, int contextLength, int threads) => RoutedLayer.ScratchFloats(
        Router, Experts.Hidden, Experts.Intermediate, Shared?.Network.Up.Outputs ?? 0, rows, threads);
}
