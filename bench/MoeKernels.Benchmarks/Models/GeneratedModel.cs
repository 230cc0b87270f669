using System.Globalization;
using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Benchmarks.Models;

/// <summary>A model folder with real shapes and random bf16 weights: speed does not depend on what the numbers
/// are.</summary>
/// <param name="Layers">Blocks; the real model has 48.</param>
/// <param name="Vocabulary">Rows of embedding and head.</param>
internal sealed record GeneratedModel(int Layers, int Vocabulary = 151_936)
{
    // Qwen3-30B-A3B.
    public const int Hidden = 2048;
    public const int Heads = 32;
    public const int KeyValueHeads = 4;
    public const int HeadDim = 128;
    public const int Experts = 128;
    public const int ExpertsPerToken = 8;
    public const int Intermediate = 768;
    private const int ChunkElements = 1 << 20;

    /// <summary>Writes the folder unless it is there, and returns its path.</summary>
    public string Write(string parent)
    {
        string folder = Path.Combine(
            parent, string.Create(CultureInfo.InvariantCulture, $"qwen3-30b-a3b-{Layers}-layers-{Vocabulary}"));
        string weights = Path.Combine(folder, "model.safetensors");
        if (!File.Exists(weights))
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(Path.Combine(folder, "config.json"), Config());
            var writer = new SafetensorsWriter();
            AddTensors(writer);
            writer.Save(weights);
        }

        return folder;
    }

    /// <summary>The folder's config.json.</summary>
    public string Config() => string.Create(CultureInfo.InvariantCulture, $$"""
        {
          "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": {{Hidden}},
          "num_hidden_layers": {{Layers}}, "num_attention_heads": {{Heads}}, "num_key_value_heads": {{KeyValueHeads}},
          "head_dim": {{HeadDim}}, "num_experts": {{Experts}}, "num_experts_per_tok": {{ExpertsPerToken}},
          "moe_intermediate_size": {{Intermediate}}, "intermediate_size": 6144, "norm_topk_prob": true,
          "decoder_sparse_step": 1, "mlp_only_layers": [], "hidden_act": "silu", "rms_norm_eps": 1e-06,
          "rope_theta": 1000000.0, "max_position_embeddings": 40960, "tie_word_embeddings": false,
          "vocab_size": {{Vocabulary}}, "eos_token_id": 151645, "torch_dtype": "bfloat16"
        }
        """);

    private void AddTensors(SafetensorsWriter writer)
    {
        Matrix(writer, "model.embed_tokens.weight", Vocabulary, Hidden);
        Matrix(writer, "lm_head.weight", Vocabulary, Hidden);
        Ones(writer, "model.norm.weight", Hidden);
        for (int layer = 0; layer < Layers; layer++)
        {
            AddLayer(writer, string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}."));
        }
    }

    private static void AddLayer(SafetensorsWriter writer, string prefix)
    {
        Ones(writer, prefix + "input_layernorm.weight", Hidden);
        Ones(writer, prefix + "post_attention_layernorm.weight", Hidden);
        Ones(writer, prefix + "self_attn.q_norm.weight", HeadDim);
        Ones(writer, prefix + "self_attn.k_norm.weight", HeadDim);
        Matrix(writer, prefix + "self_attn.q_proj.weight", Heads * HeadDim, Hidden);
        Matrix(writer, prefix + "self_attn.k_proj.weight", KeyValueHeads * HeadDim, Hidden);
        Matrix(writer, prefix + "self_attn.v_proj.weight", KeyValueHeads * HeadDim, Hidden);
        Matrix(writer, prefix + "self_attn.o_proj.weight", Hidden, Heads * HeadDim);
        Matrix(writer, prefix + "mlp.gate.weight", Experts, Hidden);
        for (int expert = 0; expert < Experts; expert++)
        {
            string module = string.Create(CultureInfo.InvariantCulture, $"{prefix}mlp.experts.{expert}.");
            Matrix(writer, module + "gate_proj.weight", Intermediate, Hidden);
            Matrix(writer, module + "up_proj.weight", Intermediate, Hidden);
            Matrix(writer, module + "down_proj.weight", Hidden, Intermediate);
        }
    }

    /// <summary>Declares a bf16 vector of ones.</summary>
    public static void Ones(SafetensorsWriter writer, string name, int length)
    {
        ushort[] ones = new ushort[length];
        Array.Fill(ones, (ushort)0x3F80);
        writer.Add<ushort>(name, ElementType.BF16, [length], ones);
    }

    /// <summary>Declares a bf16 matrix of random numbers.</summary>
    public static void Matrix(SafetensorsWriter writer, string name, int rows, int columns) =>
        writer.Add(name, ElementType.BF16, [rows, columns], stream => WriteRandom(stream, name, (long)rows * columns));

    /// <summary>Uniform numbers with the variance that keeps activations near one: ± sqrt(3 / hidden).</summary>
    private static void WriteRandom(Stream stream, string name, long count)
    {
        uint state = (uint)name.Aggregate(2166136261u, (hash, letter) => (hash ^ letter) * 16777619) | 1;
        ushort[] chunk = new ushort[ChunkElements];
        float scale = MathF.Sqrt(3f / Hidden) / int.MaxValue;
        for (long done = 0; done < count; done += chunk.Length)
        {
            int length = (int)Math.Min(chunk.Length, count - done);
            for (int i = 0; i < length; i++)
            {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                chunk[i] = (ushort)(BitConverter.SingleToUInt32Bits((int)state * scale) >> 16);
            }

            stream.Write(MemoryMarshal.AsBytes(chunk.AsSpan(0, length)));
        }
    }
}
