using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>Switch Transformers: T5's encoder and decoder (RMS norms, relative position bias, unscaled scores, no
/// biases) with one expert per token in some blocks.</summary>
internal sealed class SwitchTransformersFamily : ModelFamily
{
    /// <summary>Relative positions have no end; <c>n_positions</c>, where a config has it, is the length in training
    /// only. This keeps the figures of a memory plan meaningful.</summary>
    private const int MostPositions = 1 << 15;

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes { get; } = ["switch_transformers"];

    /// <inheritdoc/>
    public override ModelDescription Describe(ConfigReader config)
    {
        var sizes = new EncoderDecoderConfig(config, "num_heads");
        int encoderBlocks = sizes.Layers("num_layers", 12);
        int decoderBlocks = config.Has("num_decoder_layers") ? sizes.Layers("num_decoder_layers", 12) : encoderBlocks;
        var parts = new Parts(sizes);
        bool tied = config.BoolOr(true, "tie_word_embeddings");
        return new ModelDescription
        {
            Family = ModelTypes[0],
            VocabularySize = sizes.Vocabulary,
            Hidden = sizes.Hidden,
            MaxContext = MostPositions,
            Encoder = parts.Stack("encoder", encoderBlocks, Step(config, "encoder", encoderBlocks), tied),
            Decoder = parts.Stack("decoder", decoderBlocks, Step(config, "decoder", decoderBlocks), tied),
            Head = new LinearSpec(
                tied ? new TensorName("shared", "lm_head") : "lm_head", sizes.Vocabulary, sizes.Hidden),
            HeadInputScale = tied ? (float)(1 / Math.Sqrt(sizes.Hidden)) : 1,
            DecoderStartToken = sizes.Token("decoder_start_token_id") ?? sizes.Token("pad_token_id") ?? 0,
            PadToken = sizes.Token("pad_token_id") ?? 0,
        };
    }

    /// <summary>Blocks from one sparse block to the next, 0 for none: the key itself, or what the number of sparse
    /// blocks makes of it (more sparse blocks than blocks are none, as in the reference library).</summary>
    private static int Step(ConfigReader config, string side, int blocks)
    {
        int sparse = config.InRange(0, int.MaxValue, $"num_sparse_{side}_layers") ?? 3;
        return config.InRange(0, int.MaxValue, $"{side}_sparse_step") ?? (sparse == 0 ? 0 : blocks / sparse);
    }

    /// <summary>The parts of both stacks.</summary>
    private sealed class Parts(EncoderDecoderConfig sizes)
    {
        private readonly ConfigReader _keys = sizes.Keys;
        private readonly float _epsilon = sizes.Keys.FloatOr(1e-6f, "layer_norm_epsilon");
        private readonly int _headDim = sizes.HeadDim("d_kv", 64);
        private readonly int _intermediate = sizes.Width("d_ff", 2048);
        private readonly Activation _activation = sizes.ActivationOf("dense_act_fn");
        private readonly RouterSpec _router = Router(sizes);

        public StackSpec Stack(string side, int blocks, int sparseStep, bool tied) => new()
        {
            TracePrefix = $"{side}.",
            Embedding = tied
                ? new TensorName("shared.weight", $"{side}.embed_tokens.weight", "lm_head.weight")
                : new TensorName($"{side}.embed_tokens.weight", "shared.weight"),
            Blocks = [.. Enumerable.Range(0, blocks).Select(i => Block(side, i, IsSparse(i, sparseStep)))],
            FinalNorm = Norm($"{side}.final_layer_norm"),
        };

        private static bool IsSparse(int block, int step) => step == 1 || (step > 0 && block % step == 1);

        private static RouterSpec Router(EncoderDecoderConfig sizes) => RouterSpec.Switch(
            sizes.Experts(8),
            sizes.Keys.PositiveOr(64, "expert_capacity"),
            bias: sizes.RouterBias);

        private BlockSpec Block(string side, int index, bool sparse)
        {
            string layer = $"{side}.block.{index}.layer";
            bool decoder = side == "decoder";
            int last = decoder ? 2 : 1;
            var self = Attention($"{layer}.0.SelfAttention", decoder ? KeySource.Causal : KeySource.Bidirectional) with
            {
                RelativeBias = RelativeBias(side, bidirectional: !decoder),
            };
            List<SublayerSpec> sublayers = [new(Norm($"{layer}.0.layer_norm"), self)];
            if (decoder)
            {
                var cross = Attention($"{layer}.1.EncDecAttention", KeySource.Encoder);
                sublayers.Add(new SublayerSpec(Norm($"{layer}.1.layer_norm"), cross));
            }

            string mlp = $"{layer}.{last}.mlp";
            sublayers.Add(new SublayerSpec(Norm($"{layer}.{last}.layer_norm"), sparse ? Moe(mlp) : Dense(mlp)));
            return new BlockSpec([.. sublayers]);
        }

        private NormSpec Norm(string module) => new(NormKind.Rms, module, sizes.Hidden, _epsilon);

        /// <summary>T5 attention: scores are not scaled, its initialisation does that.</summary>
        private AttentionSpec Attention(string module, KeySource source)
        {
            int width = sizes.EncoderHeads * _headDim;
            return new AttentionSpec
            {
                Heads = sizes.EncoderHeads,
                KeyValueHeads = sizes.EncoderHeads,
                HeadDim = _headDim,
                Scale = 1,
                Query = new LinearSpec($"{module}.q", width, sizes.Hidden),
                Key = new LinearSpec($"{module}.k", width, sizes.Hidden),
                Value = new LinearSpec($"{module}.v", width, sizes.Hidden),
                Output = new LinearSpec($"{module}.o", sizes.Hidden, width),
                Source = source,
            };
        }

        /// <summary>The bias of a stack's first block serves all its blocks.</summary>
        private RelativeBiasSpec RelativeBias(string side, bool bidirectional)
        {
            const string bucketsKey = "relative_attention_num_buckets";
            const string distanceKey = "relative_attention_max_distance";
            int buckets = _keys.InRange(1, 1 << 16, bucketsKey) ?? 32;
            int distance = _keys.InRange(1, 1 << 16, distanceKey) ?? 128;
            if (buckets < (bidirectional ? 4 : 2))
                throw _keys.Error(bucketsKey, $"{buckets} buckets are too few");
            if (distance <= buckets / (bidirectional ? 4 : 2))
                throw _keys.Error(distanceKey, $"{distance} is not beyond the exact half of {buckets} buckets");
            string module = $"{side}.block.0.layer.0.SelfAttention.relative_attention_bias";
            return new RelativeBiasSpec($"{module}.weight", buckets, distance, bidirectional);
        }

        private FeedForwardSpec Dense(string module) => new()
        {
            Activation = _activation,
            Gate = _activation.Gated ? new LinearSpec($"{module}.wi_0", _intermediate, sizes.Hidden) : null,
            Up = new LinearSpec(
                $"{module}.{(_activation.Gated ? "wi_1" : "wi")}", _intermediate, sizes.Hidden),
            Down = new LinearSpec($"{module}.wo", sizes.Hidden, _intermediate),
        };

        private MoeSpec Moe(string module) => new()
        {
            Router = _router,
            RouterLinear = new LinearSpec(
                $"{module}.router.classifier", _router.Experts, sizes.Hidden, sizes.RouterBiasRule),
            Experts = new ExpertsSpec
            {
                Module = $"{module}.experts",
                Hidden = sizes.Hidden,
                Intermediate = _intermediate,
                Gate = "wi_0",
                Up = _activation.Gated ? "wi_1" : "wi",
                Down = "wo",
                ExpertFormat = "expert_{0}",
            },
            Activation = _activation,
            TraceModule = $"{module}.router",
            TraceForm = RouterTraceForm.Selected,
        };
    }
}
