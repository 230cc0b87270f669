using MoeKernels.Experts;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>The parts nearly every decoder is made of, under the names nearly every checkpoint uses.</summary>
/// <param name="config">Sizes shared by all layers.</param>
/// <param name="prefix">In front of every name on disk: empty, or <c>language_model.</c> in multimodal
/// checkpoints.</param>
/// <param name="norm">The formula of every norm.</param>
internal sealed class DecoderParts(DecoderConfig config, string prefix = "", NormKind norm = NormKind.Rms)
{
    public DecoderConfig Config => config;

    /// <summary>Module of a layer on disk, for example <c>model.layers.3</c>.</summary>
    public string Layer(int index) => $"{prefix}model.layers.{index}";

    /// <summary>An RMS norm over the residual stream.</summary>
    public NormSpec Norm(TensorName module) => new(norm, module, config.Hidden, config.NormEpsilon);

    /// <summary>Full causal attention with <c>q_proj</c>, <c>k_proj</c>, <c>v_proj</c> and <c>o_proj</c>; a family adds
    /// what it has beyond that with a <c>with</c> expression.</summary>
    public AttentionSpec Attention(int layer, RopeSpec? rope, BiasRule inputBias, BiasRule outputBias)
    {
        string module = $"{Layer(layer)}.self_attn";
        int queries = config.Heads * config.HeadDim;
        int keys = config.KeyValueHeads * config.HeadDim;
        return new AttentionSpec
        {
            Heads = config.Heads,
            KeyValueHeads = config.KeyValueHeads,
            HeadDim = config.HeadDim,
            Scale = (float)(1 / Math.Sqrt(config.HeadDim)),
            Query = new LinearSpec($"{module}.q_proj", queries, config.Hidden, inputBias),
            Key = new LinearSpec($"{module}.k_proj", keys, config.Hidden, inputBias),
            Value = new LinearSpec($"{module}.v_proj", keys, config.Hidden, inputBias),
            Output = new LinearSpec($"{module}.o_proj", config.Hidden, queries, outputBias),
            Rope = rope,
        };
    }

    /// <summary>RMS norms of queries and keys, <c>q_norm</c> and <c>k_norm</c>.</summary>
    public AttentionSpec WithQueryKeyNorm(AttentionSpec attention, int layer, QueryKeyNorm kind)
    {
        string module = $"{Layer(layer)}.self_attn";
        bool perHead = kind == QueryKeyNorm.PerHead;
        int queries = perHead ? config.HeadDim : attention.Heads * config.HeadDim;
        int keys = perHead ? config.HeadDim : attention.KeyValueHeads * config.HeadDim;
        return attention with
        {
            Norm = kind,
            QueryNorm = new NormSpec(norm, $"{module}.q_norm", queries, config.NormEpsilon),
            KeyNorm = new NormSpec(norm, $"{module}.k_norm", keys, config.NormEpsilon),
        };
    }

    /// <summary>A gated network <c>gate_proj</c>, <c>up_proj</c>, <c>down_proj</c>.</summary>
    public FeedForwardSpec FeedForward(string module, int intermediate, BiasRule bias = BiasRule.None) => new()
    {
        Activation = config.Activation,
        Gate = new LinearSpec($"{module}.gate_proj", intermediate, config.Hidden, bias),
        Up = new LinearSpec($"{module}.up_proj", intermediate, config.Hidden, bias),
        Down = new LinearSpec($"{module}.down_proj", config.Hidden, intermediate, bias),
    };

    /// <summary>Routed experts; the names inside an expert are those of <see cref="FeedForward"/>.</summary>
    public ExpertsSpec Experts(TensorName module, int intermediate) => new()
    {
        Module = module,
        Hidden = config.Hidden,
        Intermediate = intermediate,
    };

    /// <summary>Attention that sees a sliding window; unchanged when there is none.</summary>
    public static AttentionSpec Sliding(AttentionSpec attention, int? window) => window is null
        ? attention
        : attention with { Window = AttentionWindow.Sliding, WindowSize = window.Value };

    /// <summary>Routed experts <c>{module}.experts.{e}</c> behind a router <c>{module}.gate</c> without bias.</summary>
    public MoeSpec Moe(int layer, TensorName module, RouterSpec router, int intermediate) => new()
    {
        Router = config.Checked(router),
        RouterLinear = new LinearSpec(module.With(".gate"), router.Experts, config.Hidden),
        Experts = Experts(module.With(".experts"), intermediate),
        Activation = config.Activation,
        TraceModule = $"model.layers.{layer}.mlp.gate",
    };

    /// <summary>A block of attention and feed-forward, each after its norm.</summary>
    public BlockSpec Block(int layer, LayerSpec attention, LayerSpec feedForward) => new(
        new SublayerSpec(Norm($"{Layer(layer)}.input_layernorm"), attention),
        new SublayerSpec(Norm($"{Layer(layer)}.post_attention_layernorm"), feedForward));

    /// <summary>The whole model around its blocks.</summary>
    public ModelDescription Model(string family, Func<int, BlockSpec> block)
    {
        string embedding = $"{prefix}model.embed_tokens";
        return new ModelDescription
        {
            Family = family,
            VocabularySize = config.Vocabulary,
            Hidden = config.Hidden,
            MaxContext = config.MaxContext,
            Decoder = new StackSpec
            {
                Embedding = $"{embedding}.weight",
                Blocks = [.. Enumerable.Range(0, config.Layers).Select(block)],
                FinalNorm = Norm($"{prefix}model.norm"),
            },
            Head = new LinearSpec(
                config.TiedEmbeddings ? embedding : $"{prefix}lm_head", config.Vocabulary, config.Hidden),
        };
    }
}
