using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Families;

/// <summary>Latent attention under the names of DeepSeek's checkpoints.</summary>
internal sealed class MlaParts
{
    /// <summary>The two norms inside the layer take the class's default, not the config's
    /// <c>rms_norm_eps</c>.</summary>
    private const float InnerEpsilon = 1e-6f;

    // With at most 2^14 heads, products of extents stay inside 32 bits.
    private const int WidestRank = 1 << 16;
    private const int WidestHead = 1 << 14;

    private readonly DecoderParts _parts;
    private readonly int _queryRank;
    private readonly int _kvRank;
    private readonly int _nope;
    private readonly int _rotary;
    private readonly int _value;
    private readonly BiasRule _bias;
    private readonly RopeSpec _rope;
    private readonly float _scale;

    /// <summary>Reads the sizes.</summary>
    /// <param name="parts">Shared sizes and names.</param>
    /// <param name="interleaved">Whether the rotary part is rotated by neighbours.</param>
    /// <exception cref="MoeFormatException">A key is missing or out of range.</exception>
    public MlaParts(DecoderParts parts, bool interleaved)
    {
        DecoderConfig decoder = parts.Config;
        ConfigReader keys = decoder.Keys;
        _parts = parts;
        _queryRank = keys.IsNull("q_lora_rank") ? 0 : keys.InRange(1, WidestRank, "q_lora_rank") ?? 1536;
        _kvRank = keys.InRange(1, WidestRank, "kv_lora_rank") ?? 512;
        _nope = keys.InRange(1, WidestHead, "qk_nope_head_dim") ?? 128;
        _rotary = keys.InRange(2, WidestHead, "qk_rope_head_dim") ?? 64;
        _value = keys.InRange(1, WidestHead, "v_head_dim") ?? 128;
        _bias = ModelFamily.Bias(keys, "attention_bias");
        _rope = RopeConfig.Read(keys, _rotary, decoder.MaxContext, interleaved: interleaved);
        _scale = (float)(_rope.ScoreFactor / Math.Sqrt(_nope + _rotary));
    }

    /// <summary>The attention of one layer.</summary>
    public MlaSpec Attention(int layer)
    {
        DecoderConfig decoder = _parts.Config;
        string module = $"{_parts.Layer(layer)}.self_attn";
        int queries = decoder.Heads * (_nope + _rotary);
        bool low = _queryRank > 0;
        return new MlaSpec
        {
            Heads = decoder.Heads,
            NopeDim = _nope,
            RopeDim = _rotary,
            ValueDim = _value,
            KvRank = _kvRank,
            Scale = _scale,
            Rope = _rope,
            Query = low ? null : new LinearSpec($"{module}.q_proj", queries, decoder.Hidden),
            QueryDown = low ? new LinearSpec($"{module}.q_a_proj", _queryRank, decoder.Hidden, _bias) : null,
            QueryNorm = low ? Norm($"{module}.q_a_layernorm", _queryRank) : null,
            QueryUp = low ? new LinearSpec($"{module}.q_b_proj", queries, _queryRank) : null,
            KvDown = new LinearSpec($"{module}.kv_a_proj_with_mqa", _kvRank + _rotary, decoder.Hidden, _bias),
            KvNorm = Norm($"{module}.kv_a_layernorm", _kvRank),
            KvUp = new LinearSpec($"{module}.kv_b_proj", decoder.Heads * (_nope + _value), _kvRank),
            Output = new LinearSpec($"{module}.o_proj", decoder.Hidden, decoder.Heads * _value, _bias),
        };
    }

    private static NormSpec Norm(string module, int size) => new(NormKind.Rms, module, size, InnerEpsilon);
}
