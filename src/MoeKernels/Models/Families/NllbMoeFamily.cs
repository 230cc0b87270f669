using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>NLLB-MoE: M2M-100's encoder and decoder (layer norms, biases everywhere, sinusoidal positions, scaled
/// embeddings) with two experts per token in some layers.</summary>
internal sealed class NllbMoeFamily : ModelFamily
{
    /// <summary>What <c>torch.nn.LayerNorm</c> adds to the variance; the configuration has no key for it.</summary>
    private const float LayerNormEpsilon = 1e-5f;

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["nllb-moe", "nllb_moe"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var sizes = new EncoderDecoderConfig(config, "encoder_attention_heads");
        if (sizes.Hidden < 4)
            throw config.Error("d_model", $"{sizes.Hidden} is too small for sinusoidal positions");
        var parts = new Parts(sizes);
        bool tied = config.BoolOr(true, "tie_word_embeddings");
        return new ModelDescription
        {
            Family = ModelTypes[0],
            VocabularySize = sizes.Vocabulary,
            Hidden = sizes.Hidden,
            MaxContext = config.PositiveOr(1024, "max_position_embeddings"),
            Encoder = parts.Stack("encoder", tied),
            Decoder = parts.Stack("decoder", tied),
            Head = new LinearSpec(
                tied ? new TensorName("model.shared", "shared", "lm_head") : "lm_head", sizes.Vocabulary, sizes.Hidden),
            DecoderStartToken = sizes.Token("decoder_start_token_id") ?? 2,
            PadToken = parts.PadToken,
        };
    }

    /// <summary>The parts of both stacks. Names on disk come with and without <c>model.</c> in front.</summary>
    private sealed class Parts(EncoderDecoderConfig sizes)
    {
        private readonly ConfigReader _keys = sizes.Keys;
        private readonly Activation _activation = sizes.ActivationOf("activation_function");
        private readonly RouterSpec _router = Router(sizes);

        public int PadToken { get; } = sizes.Token("pad_token_id") ?? 1;

        public StackSpec Stack(string side, bool tied)
        {
            int layers = sizes.Layers($"{side}_layers", 12);
            int step = _keys.InRange(0, int.MaxValue, $"{side}_sparse_step") ?? 4;
            TensorName own = Name($"{side}.embed_tokens.weight");
            TensorName shared = Name("shared.weight");
            return new StackSpec
            {
                TracePrefix = $"{side}.",
                Embedding = tied
                    ? new TensorName([.. shared.Alternatives, .. own.Alternatives, "lm_head.weight"])
                    : new TensorName([.. own.Alternatives, .. shared.Alternatives]),
                EmbeddingScale = _keys.BoolOr(true, "scale_embedding") ? (float)Math.Sqrt(sizes.Hidden) : 1,
                Positions = new SinusoidalSpec(PadToken, StoredPositions()),
                Blocks = [.. Enumerable.Range(0, layers).Select(i => Block(side, i, step > 0 && (i + 1) % step == 0))],
                FinalNorm = Norm(Name($"{side}.layer_norm")),
            };
        }

        private static TensorName Name(string name) => new($"model.{name}", name);

        private static RouterSpec Router(EncoderDecoderConfig sizes)
        {
            ConfigReader keys = sizes.Keys;
            string policy = keys.StringOr("all", "second_expert_policy");
            if (policy != "all")
                throw keys.Unsupported("second_expert_policy", $"the random second expert of the policy '{policy}'");
            return RouterSpec.NllbMoe(
                sizes.Experts(128),
                keys.DoubleOr(1, "moe_eval_capacity_token_fraction"),
                keys.InRange(1, int.MaxValue, "expert_capacity") ?? 0,
                keys.FloatOr(0.2f, "moe_token_dropout"),
                keys.BoolOr(false, "batch_prioritized_routing"),
                keys.BoolOr(false, "normalize_router_prob_before_dropping"),
                sizes.RouterBias);
        }

        /// <summary>The position table is kept in the model's own type, as in the reference library.</summary>
        private ElementType StoredPositions() => _keys.OptionalString("dtype", "torch_dtype") switch
        {
            "bfloat16" => ElementType.BF16,
            "float16" => ElementType.F16,
            _ => ElementType.F32,
        };

        private BlockSpec Block(string side, int index, bool sparse)
        {
            string layer = $"{side}.layers.{index}";
            bool decoder = side == "decoder";
            int heads = sizes.Heads($"{side}_attention_heads");
            int intermediate = sizes.Width($"{side}_ffn_dim", 4096);
            var source = decoder ? KeySource.Causal : KeySource.Bidirectional;
            List<SublayerSpec> sublayers =
            [
                new(Norm(Name($"{layer}.self_attn_layer_norm")), Attention($"{layer}.self_attn", heads, source)),
            ];
            if (decoder)
            {
                sublayers.Add(new SublayerSpec(
                    Norm(Name($"{layer}.cross_attention_layer_norm")),
                    Attention($"{layer}.cross_attention", heads, KeySource.Encoder)));
            }

            LayerSpec network = sparse ? Moe($"{layer}.ffn", intermediate) : Dense($"{layer}.ffn", intermediate);
            sublayers.Add(new SublayerSpec(Norm(Name($"{layer}.ff_layer_norm")), network));
            return new BlockSpec([.. sublayers]);
        }

        private NormSpec Norm(TensorName module) => new(NormKind.Layer, module, sizes.Hidden, LayerNormEpsilon);

        private AttentionSpec Attention(string module, int heads, KeySource source)
        {
            if (sizes.Hidden % heads != 0)
                throw _keys.Error("d_model", $"{sizes.Hidden} is not a multiple of {heads} attention heads");
            int headDim = sizes.Hidden / heads;
            return new AttentionSpec
            {
                Heads = heads,
                KeyValueHeads = heads,
                HeadDim = headDim,
                Scale = (float)(1 / Math.Sqrt(headDim)),
                Query = Square($"{module}.q_proj"),
                Key = Square($"{module}.k_proj"),
                Value = Square($"{module}.v_proj"),
                Output = Square($"{module}.out_proj"),
                Source = source,
            };
        }

        private LinearSpec Square(string module) => new(Name(module), sizes.Hidden, sizes.Hidden, BiasRule.Required);

        private FeedForwardSpec Dense(string module, int intermediate) => new()
        {
            Activation = _activation,
            Up = new LinearSpec(Name($"{module}.fc1"), intermediate, sizes.Hidden, BiasRule.Required),
            Down = new LinearSpec(Name($"{module}.fc2"), sizes.Hidden, intermediate, BiasRule.Required),
        };

        private MoeSpec Moe(string module, int intermediate) => new()
        {
            Router = _router,
            RouterLinear = new LinearSpec(
                Name($"{module}.router.classifier"), _router.Experts, sizes.Hidden, sizes.RouterBiasRule),
            Experts = new ExpertsSpec
            {
                Module = Name($"{module}.experts"),
                Hidden = sizes.Hidden,
                Intermediate = intermediate,
                Up = "fc1",
                Down = "fc2",
                ExpertFormat = "expert_{0}",
                Bias = BiasRule.Required,
            },
            Activation = _activation,
            TraceModule = $"model.{module}.router",
            TraceForm = RouterTraceForm.Combine,
        };
    }
}
