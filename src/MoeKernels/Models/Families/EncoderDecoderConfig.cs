using MoeKernels.Experts;
using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Families;

/// <summary>The keys Switch Transformers and NLLB-MoE share, read and bounded once.</summary>
/// <remarks>The bounds only keep products of two extents inside 32 bits; no released model is near them.</remarks>
internal sealed class EncoderDecoderConfig
{
    private const int MostLayers = 1 << 12;
    private const int MostHeads = 1 << 12;
    private const int WidestHead = 1 << 14;
    private const int Widest = 1 << 20;
    private const int MostTokens = 1 << 28;
    private const int MostExperts = 1 << 16;

    /// <summary>Reads the shared keys.</summary>
    /// <param name="keys">The configuration.</param>
    /// <param name="headsKey">Key of the encoder's attention heads.</param>
    /// <exception cref="MoeFormatException">A key is out of range.</exception>
    /// <exception cref="MoeUnsupportedException">The router is not to be computed in fp32.</exception>
    public EncoderDecoderConfig(ConfigReader keys, string headsKey)
    {
        Keys = keys;
        Vocabulary = keys.InRange(1, MostTokens, "vocab_size") ?? keys.Positive("vocab_size");
        Hidden = Width("d_model", null, "hidden_size");
        EncoderHeads = Heads(headsKey);
        RouterBias = keys.BoolOr(false, "router_bias");
        string routerType = keys.StringOr("float32", "router_dtype");
        if (routerType != "float32")
            throw keys.Unsupported("router_dtype", $"a router computed in {routerType}");
    }

    public ConfigReader Keys { get; }

    public int Vocabulary { get; }

    public int Hidden { get; }

    public int EncoderHeads { get; }

    public bool RouterBias { get; }

    public BiasRule RouterBiasRule => RouterBias ? BiasRule.Required : BiasRule.None;

    /// <summary>Attention heads.</summary>
    public int Heads(string key) => Keys.InRange(1, MostHeads, key, "num_attention_heads") ?? Keys.Positive(key);

    /// <summary>Elements of a head.</summary>
    public int HeadDim(string key, int otherwise) => Keys.InRange(1, WidestHead, key) ?? otherwise;

    /// <summary>Blocks of a stack.</summary>
    public int Layers(string key, int otherwise) => Keys.InRange(1, MostLayers, key) ?? otherwise;

    /// <summary>A width; required where there is no default.</summary>
    public int Width(string key, int? otherwise, params string[] others)
    {
        string[] all = [key, .. others];
        return Keys.InRange(1, Widest, all) ?? otherwise ?? Keys.Positive(all);
    }

    /// <summary>Routed experts of a layer.</summary>
    public int Experts(int otherwise) => Keys.InRange(1, MostExperts, "num_experts") ?? otherwise;

    /// <summary>A token id, or null where the configuration has none.</summary>
    /// <exception cref="MoeFormatException">The id is outside the vocabulary.</exception>
    public int? Token(string key) => Keys.InRange(0, Vocabulary - 1, key);

    /// <summary>The non-linearity, ReLU where the key is absent; <c>gated-gelu</c> is the gated tanh GELU of T5
    /// 1.1.</summary>
    /// <exception cref="MoeUnsupportedException">The function is none of SiLU, ReLU and GELU.</exception>
    public Activation ActivationOf(string key) => Keys.StringOr("relu", key) switch
    {
        "relu" => Activation.Relu,
        "gated-gelu" => new Activation(ActivationKind.GeluTanh, Gated: true),
        _ => DecoderConfig.ActivationOf(Keys, key, gated: false),
    };
}
