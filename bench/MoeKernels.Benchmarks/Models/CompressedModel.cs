using System.Globalization;
using System.Security.Cryptography;
using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Benchmarks.Models;

/// <summary>The shapes of <see cref="GeneratedModel"/> as a compressed folder: experts at one bit a weight (8 weights a
/// code), everything else that is a matrix, embedding and head included, at four (two codes for 4 weights); routers
/// stay bf16. Random codes: speed does not depend on what they say.</summary>
/// <param name="Layers">Blocks.</param>
/// <param name="Vocabulary">Rows of embedding and head.</param>
/// <param name="HasContent">Whether codes are written; without, the folder serves for planning only.</param>
internal sealed record CompressedModel(int Layers, int Vocabulary, bool HasContent = true)
{
    private const int H = GeneratedModel.Hidden;
    private const int I = GeneratedModel.Intermediate;
    private const int CodeChunk = 1 << 20;

    /// <summary>Writes the folder unless it is there, and returns its path.</summary>
    public string Write(string parent)
    {
        string kind = HasContent ? "compressed" : "blank";
        string folder = Path.Combine(
            parent, string.Create(CultureInfo.InvariantCulture, $"qwen3-30b-a3b-{Layers}-layers-{Vocabulary}-{kind}"));
        string weights = Path.Combine(folder, "model.safetensors");
        if (File.Exists(weights))
            return folder;

        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), new GeneratedModel(Layers, Vocabulary).Config());
        var writer = new SafetensorsWriter();
        AddTensors(writer);
        writer.Save(weights);
        return folder;
    }

    private void AddTensors(SafetensorsWriter writer)
    {
        const int Query = GeneratedModel.Heads * GeneratedModel.HeadDim;
        const int KeyValue = GeneratedModel.KeyValueHeads * GeneratedModel.HeadDim;
        AddDense(writer, "model.embed_tokens.weight", Vocabulary, H);
        AddDense(writer, "lm_head.weight", Vocabulary, H);
        GeneratedModel.Ones(writer, "model.norm.weight", H);
        for (int layer = 0; layer < Layers; layer++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.");
            GeneratedModel.Ones(writer, prefix + "input_layernorm.weight", H);
            GeneratedModel.Ones(writer, prefix + "post_attention_layernorm.weight", H);
            GeneratedModel.Ones(writer, prefix + "self_attn.q_norm.weight", GeneratedModel.HeadDim);
            GeneratedModel.Ones(writer, prefix + "self_attn.k_norm.weight", GeneratedModel.HeadDim);
            AddDense(writer, prefix + "self_attn.q_proj.weight", Query, H);
            AddDense(writer, prefix + "self_attn.k_proj.weight", KeyValue, H);
            AddDense(writer, prefix + "self_attn.v_proj.weight", KeyValue, H);
            AddDense(writer, prefix + "self_attn.o_proj.weight", H, Query);
            GeneratedModel.Matrix(writer, prefix + "mlp.gate.weight", GeneratedModel.Experts, H);
            AddExperts(writer, prefix + "mlp.experts.gate_proj.weight", I, H);
            AddExperts(writer, prefix + "mlp.experts.up_proj.weight", I, H);
            AddExperts(writer, prefix + "mlp.experts.down_proj.weight", H, I);
        }
    }

    private void AddExperts(SafetensorsWriter writer, string name, int rows, int columns) =>
        Add(writer, name, new CodebookShape(rows, columns, 8, 1), GeneratedModel.Experts);

    private void AddDense(SafetensorsWriter writer, string name, int rows, int columns) =>
        Add(writer, name, new CodebookShape(rows, columns, 4, 2), 1);

    /// <summary>The five tensors of a stack, without the optional factors of the inputs (FORMAT.md).</summary>
    private void Add(SafetensorsWriter writer, string name, CodebookShape shape, int count)
    {
        int[] header = new int[CodebookTensors.HeaderLength];
        int[] numbers = [CodebookTensors.Version, shape.Rows, shape.Columns, shape.Dimension, shape.Stages, count, 1];
        numbers.CopyTo(header, 0);
        writer.Add(name + ".header", [header.Length], header);

        // Vectors of up to 15 a number; scales that give the weights the variance of GeneratedModel's.
        ushort[] scales = new ushort[count * shape.PaddedRows];
        Half scale = (Half)(1 / Math.Sqrt(H * 80.0 * shape.Stages));
        for (int i = 0; i < scales.Length; i++)
            scales[i] = i % shape.PaddedRows < shape.Rows ? BitConverter.HalfToUInt16Bits(scale) : (ushort)0;
        writer.Add<ushort>(name + ".scales", ElementType.F16, [count, shape.PaddedRows], scales);

        byte[] vectors = new byte[shape.Stages * CodebookShape.Vectors * shape.Dimension];
        RandomNumberGenerator.Fill(vectors);
        for (int i = 0; i < vectors.Length; i++)
            vectors[i] = (byte)((vectors[i] % 31) - 15);
        writer.Add<byte>(
            name + ".codebook", ElementType.I8, [1, shape.Stages, CodebookShape.Vectors, shape.Dimension], vectors);

        long bytes = shape.CodeBytes * count;
        writer.Add(
            name + ".codes", ElementType.U8, [count, bytes / count / CodebookShape.BlockRows, CodebookShape.BlockRows],
            stream => WriteCodes(stream, bytes));
    }

    private void WriteCodes(Stream stream, long bytes)
    {
        if (!HasContent)
        {
            stream.Seek(bytes - 1, SeekOrigin.Current);
            stream.WriteByte(0);
            return;
        }

        byte[] chunk = new byte[CodeChunk];
        for (long done = 0; done < bytes; done += chunk.Length)
        {
            int length = (int)Math.Min(chunk.Length, bytes - done);
            RandomNumberGenerator.Fill(chunk.AsSpan(0, length));
            stream.Write(chunk, 0, length);
        }
    }
}
