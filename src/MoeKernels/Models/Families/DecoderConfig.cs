using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Router;

namespace MoeKernels.Models.Families;

/// <summary>The keys nearly every decoder has, read and bounded once, whatever spelling the config uses.</summary>
/// <remarks>The bounds only keep products of two extents inside 32 bits; no released model is near them.</remarks>
internal sealed class DecoderConfig
{
    private const int MostLayers = 1 << 12;
    private const int MostHeads = 1 << 14;
    private const int WidestHead = 1 << 14;
    private const int Widest = 1 << 24;
    private const int MostTokens = 1 << 28;
    private const int MostExperts = 1 << 16;

    /// <summary>Reads the shared keys.</summary>
    /// <param name="keys">The object that holds them: the root, or <c>text_config</c>.</param>
    /// <param name="normEpsilon">The family's <c>rms_norm_eps</c> where the config has none.</param>
    /// <param name="headDim">The family's <c>head_dim</c> where the config has none; null, there or here, means the
    /// hidden size over the heads.</param>
    /// <exception cref="MoeFormatException">A key is missing, out of range or contradicts another.</exception>
    public DecoderConfig(ConfigReader keys, float normEpsilon, int? headDim = null)
    {
        Keys = keys;
        Vocabulary = Extent(MostTokens, "vocab_size");
        Hidden = Extent(Widest, "hidden_size");
        Layers = Extent(MostLayers, "num_hidden_layers");
        Heads = Extent(MostHeads, "num_attention_heads");
        KeyValueHeads = keys.InRange(1, MostHeads, "num_key_value_heads") ?? Heads;
        HeadDim = keys.InRange(1, WidestHead, "head_dim")
            ?? (keys.IsNull("head_dim") ? null : headDim) ?? Hidden / Heads;
        MaxContext = keys.PositiveOr(2048, "max_position_embeddings");
        NormEpsilon = keys.FloatOr(normEpsilon, "rms_norm_eps");
        TiedEmbeddings = keys.BoolOr(false, "tie_word_embeddings");
        Activation = ActivationOf(keys, "hidden_act");
        if (Heads % KeyValueHeads != 0)
            throw keys.Error("num_key_value_heads", $"{KeyValueHeads} does not divide {Heads} attention heads");
        if (HeadDim == 0)
            throw keys.Error("hidden_size", $"{Hidden} is less than the number of attention heads");
    }

    /// <summary>The object the keys were read from, for those only one family has.</summary>
    public ConfigReader Keys { get; }

    public int Vocabulary { get; }

    public int Hidden { get; }

    public int Layers { get; }

    public int Heads { get; }

    public int KeyValueHeads { get; }

    public int HeadDim { get; }

    public int MaxContext { get; }

    public float NormEpsilon { get; }

    public bool TiedEmbeddings { get; }

    /// <summary>The gated activation that <c>hidden_act</c> names.</summary>
    public Activation Activation { get; }

    /// <summary>A width such as <c>intermediate_size</c>, from the first key that is present.</summary>
    public int Width(params ReadOnlySpan<string> keys) => Extent(Widest, keys);

    /// <summary>The rotary embedding of all layers, or of one layer type.</summary>
    /// <param name="theta">The family's <c>rope_theta</c> where the config has none.</param>
    /// <param name="partial">The family's <c>partial_rotary_factor</c> where the config has none.</param>
    /// <param name="interleaved">Whether the family rotates neighbours instead of halves.</param>
    /// <param name="layerType">Key of the layer's entry where the config has one per layer type.</param>
    public RopeSpec Rope(double theta, double partial = 1, bool interleaved = false, string? layerType = null) =>
        RopeConfig.Read(Keys, HeadDim, MaxContext, layerType, interleaved, theta, partial);

    /// <summary>Layers that <c>layer_types</c> or a rule of the family gives another kind: one entry per
    /// layer.</summary>
    /// <exception cref="MoeFormatException">The array has another length.</exception>
    /// <exception cref="MoeUnsupportedException">An entry is not one of <paramref name="known"/>.</exception>
    public string[]? LayerTypes(params ReadOnlySpan<string> known)
    {
        const string key = "layer_types";
        string[]? types = Keys.OptionalStringArray(key);
        if (types is not null && types.Length != Layers)
            throw Keys.Error(key, $"has {types.Length} entries for {Layers} layers");
        foreach (string type in types ?? [])
        {
            if (!known.Contains(type))
                throw Keys.Unsupported(key, $"layers of the type '{type}'");
        }

        return types;
    }

    /// <summary>The number of routed experts.</summary>
    public int Experts(params ReadOnlySpan<string> keys) => Extent(MostExperts, keys);

    /// <summary>Checks a router made of the config's numbers.</summary>
    /// <exception cref="MoeFormatException">The numbers contradict each other.</exception>
    public RouterSpec Checked(RouterSpec router)
    {
        try
        {
            router.Validate();
            return router;
        }
        catch (ArgumentException e)
        {
            throw Keys.Error("num_experts_per_tok", e.Message);
        }
    }

    /// <summary>Maps the names of transformers' <c>ACT2FN</c> to a gated activation.</summary>
    /// <exception cref="MoeUnsupportedException">The function is none of SiLU, ReLU and GELU.</exception>
    public static Activation ActivationOf(ConfigReader keys, string key, bool gated = true)
    {
        string name = keys.StringOr("silu", key);
        ActivationKind kind = name switch
        {
            "silu" or "swish" => ActivationKind.Silu,
            "relu" => ActivationKind.Relu,
            "gelu" or "gelu_python" => ActivationKind.Gelu,
            "gelu_new" or "gelu_pytorch_tanh" or "gelu_fast" or "gelu_python_tanh" => ActivationKind.GeluTanh,
            _ => throw keys.Unsupported(key, $"the activation '{name}'"),
        };
        return new Activation(kind, gated);
    }

    private int Extent(int most, params ReadOnlySpan<string> keys) =>
        Keys.InRange(1, most, keys) ?? Keys.Positive(keys);
}
