using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using MoeKernels.Benchmarks.Models;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>The shapes of <see cref="GeneratedModel"/> as llama.cpp stores them when it is told Q4_K_M: blocks of 256
/// weights at 4.5 bits, at 6.56 in the head and in half of the layers' values and down projections; random
/// weights.</summary>
/// <param name="Layers">Blocks.</param>
/// <param name="Vocabulary">Rows of embedding and head.</param>
internal sealed record GgufModel(int Layers, int Vocabulary)
{
    private const uint F32 = 0;
    private const uint Q4K = 12;
    private const uint Q6K = 14;
    private const int BlockWeights = 256;
    private const int Q4KBytes = 144;
    private const int Q6KBytes = 210;

    // Root mean square of the random weights is about that of GeneratedModel's.
    private static readonly Half s_q4Scale = (Half)1.2e-4;
    private static readonly Half s_q4Minimum = (Half)(7.5 * 1.2e-4);
    private static readonly Half s_q6Scale = (Half)1.6e-4;

    private const int H = GeneratedModel.Hidden;

    /// <summary>Writes the file unless it is there, and returns its path.</summary>
    public string Write(string parent)
    {
        Directory.CreateDirectory(parent);
        string path = Path.Combine(
            parent, string.Create(CultureInfo.InvariantCulture, $"qwen3-30b-a3b-{Layers}-layers-{Vocabulary}.gguf"));
        if (File.Exists(path))
            return path;

        var writer = new GgufWriter();
        AddKeys(writer);
        Matrix(writer, "token_embd.weight", Q4K, H, Vocabulary);
        Matrix(writer, "output.weight", Q6K, H, Vocabulary);
        Ones(writer, "output_norm.weight", H);
        for (int layer = 0; layer < Layers; layer++)
            AddLayer(writer, string.Create(CultureInfo.InvariantCulture, $"blk.{layer}."), HasMoreBits(layer));
        writer.Save(path + ".part");
        File.Move(path + ".part", path);
        return path;
    }

    /// <summary>llama.cpp's rule for the layers that get more bits.</summary>
    private bool HasMoreBits(int layer) =>
        layer < Layers / 8 || layer >= 7 * Layers / 8 || (layer - (Layers / 8)) % 3 == 2;

    private void AddKeys(GgufWriter writer)
    {
        const string Architecture = "qwen3moe";
        writer.Add("general.architecture", Architecture);
        foreach ((string key, int value) in (ReadOnlySpan<(string, int)>)
            [
                ("block_count", Layers), ("context_length", 40960), ("embedding_length", H),
                ("feed_forward_length", 6144), ("attention.head_count", GeneratedModel.Heads),
                ("attention.head_count_kv", GeneratedModel.KeyValueHeads),
                ("attention.key_length", GeneratedModel.HeadDim), ("attention.value_length", GeneratedModel.HeadDim),
                ("expert_count", GeneratedModel.Experts), ("expert_used_count", GeneratedModel.ExpertsPerToken),
                ("expert_feed_forward_length", GeneratedModel.Intermediate), ("vocab_size", Vocabulary),
            ])
        {
            writer.Add($"{Architecture}.{key}", (uint)value);
        }

        writer.Add($"{Architecture}.attention.layer_norm_rms_epsilon", 1e-6f);
        writer.Add($"{Architecture}.rope.freq_base", 1e6f);
        writer.Add("general.file_type", 15u);
        writer.Add("tokenizer.ggml.model", "none");
    }

    private static void AddLayer(GgufWriter writer, string prefix, bool moreBits)
    {
        const int Query = GeneratedModel.Heads * GeneratedModel.HeadDim;
        const int KeyValue = GeneratedModel.KeyValueHeads * GeneratedModel.HeadDim;
        const int I = GeneratedModel.Intermediate, E = GeneratedModel.Experts;
        uint better = moreBits ? Q6K : Q4K;
        Ones(writer, prefix + "attn_norm.weight", H);
        Ones(writer, prefix + "ffn_norm.weight", H);
        Ones(writer, prefix + "attn_q_norm.weight", GeneratedModel.HeadDim);
        Ones(writer, prefix + "attn_k_norm.weight", GeneratedModel.HeadDim);
        Matrix(writer, prefix + "attn_q.weight", Q4K, H, Query);
        Matrix(writer, prefix + "attn_k.weight", Q4K, H, KeyValue);
        Matrix(writer, prefix + "attn_v.weight", better, H, KeyValue);
        Matrix(writer, prefix + "attn_output.weight", Q4K, Query, H);
        Router(writer, prefix + "ffn_gate_inp.weight", H, E);
        Matrix(writer, prefix + "ffn_gate_exps.weight", Q4K, H, I, E);
        Matrix(writer, prefix + "ffn_up_exps.weight", Q4K, H, I, E);
        Matrix(writer, prefix + "ffn_down_exps.weight", better, I, H, E);
    }

    private static void Ones(GgufWriter writer, string name, int length)
    {
        float[] ones = new float[length];
        Array.Fill(ones, 1);
        writer.Add(name, F32, [length], length * sizeof(float), stream =>
            stream.Write(MemoryMarshal.AsBytes<float>(ones)));
    }

    private static void Router(GgufWriter writer, string name, int columns, int rows) =>
        writer.Add(name, F32, [columns, rows], (long)columns * rows * sizeof(float), stream =>
        {
            Random random = new(name.Length + name[4]);
            float[] values = new float[columns * rows];
            foreach (ref float value in values.AsSpan())
                value = (random.NextSingle() - 0.5f) * 0.07f;
            stream.Write(MemoryMarshal.AsBytes<float>(values));
        });

    private static void Matrix(GgufWriter writer, string name, uint type, params ReadOnlySpan<long> shape)
    {
        long blocks = 1;
        foreach (long extent in shape)
            blocks *= extent;
        blocks /= BlockWeights;
        int blockBytes = type == Q4K ? Q4KBytes : Q6KBytes;
        writer.Add(name, type, shape, blocks * blockBytes, stream => WriteBlocks(stream, type, blocks));
    }

    private static void WriteBlocks(Stream stream, uint type, long blocks)
    {
        const int ChunkBlocks = 4096;
        int blockBytes = type == Q4K ? Q4KBytes : Q6KBytes;
        byte[] chunk = new byte[ChunkBlocks * blockBytes];
        Random random = new((int)(stream.Position % int.MaxValue));
        for (long done = 0; done < blocks; done += ChunkBlocks)
        {
            int count = (int)Math.Min(ChunkBlocks, blocks - done);
            random.NextBytes(chunk);
            for (int i = 0; i < count; i++)
                SetScales(type, chunk.AsSpan(i * blockBytes, blockBytes));
            stream.Write(chunk, 0, count * blockBytes);
        }
    }

    /// <summary>Q4_K begins with its scale and its minimum's scale; Q6_K ends with 16 signed scales and their
    /// scale.</summary>
    private static void SetScales(uint type, Span<byte> block)
    {
        if (type == Q4K)
        {
            BinaryPrimitives.WriteHalfLittleEndian(block, s_q4Scale);
            BinaryPrimitives.WriteHalfLittleEndian(block[2..], s_q4Minimum);
            return;
        }

        foreach (ref byte scale in block[192..208])
            scale = (byte)((scale % 16) - 8);
        BinaryPrimitives.WriteHalfLittleEndian(block[208..], s_q6Scale);
    }
}
