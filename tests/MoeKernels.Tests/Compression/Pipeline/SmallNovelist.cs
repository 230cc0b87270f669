using System.Text.Json.Nodes;
using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>The sample model cut down to two layers of eight experts: as small as codes below two bits allow.</summary>
internal sealed class SmallNovelist : IDisposable
{
    private const int Layers = 2, Experts = 8;

    private readonly TempFolder _folder = new();

    public SmallNovelist()
    {
        string source = RepositoryPaths.DataFile("novelist-s");
        Config = JsonNode.Parse(File.ReadAllText(System.IO.Path.Combine(source, "config.json")))!.AsObject();
        Config["num_hidden_layers"] = Layers;
        Config["num_experts"] = Experts;
        using Checkpoint checkpoint = Checkpoint.Open(source);
        foreach (string name in checkpoint.Names.Where(IsKept))
            Tensors.Add(name, Cut(StoredTensor.From(checkpoint.Get(name)), name));
        foreach (string file in (string[])["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
            File.Copy(System.IO.Path.Combine(source, file), _folder[file]);
        Save();
    }

    /// <summary>Some of the book that comes with the tests.</summary>
    public static string Text { get; } =
        File.ReadAllText(RepositoryPaths.DataFile("books", "the-time-machine.txt"))[..60_000];

    /// <summary>As little work as there can be.</summary>
    public static CompressOptions Options { get; } = new()
    {
        Texts = [Text], Bits = 1.6, Tokens = 512, Window = 64, Threads = 2, Allocation = AllocationMode.Uniform,
    };

    /// <summary>Every part of the work: measured bits, coded attention and embedding.</summary>
    public static CompressOptions Everything { get; } =
        Options with { DenseBits = 3, Allocation = AllocationMode.Fast };

    public string Path => _folder.Path;

    public JsonObject Config { get; }

    public Dictionary<string, StoredTensor> Tensors { get; } = [];

    /// <summary>Writes the model again after changes.</summary>
    public void Save()
    {
        _folder.Write("config.json", Config.ToJsonString());
        SafetensorsWriter writer = new();
        foreach ((string name, StoredTensor tensor) in Tensors)
            writer.Add(name, tensor.Type, tensor.Shape, stream => stream.Write(tensor.Bytes));
        writer.Save(_folder["model.safetensors"]);
    }

    public void Dispose() => _folder.Dispose();

    private static bool IsKept(string name)
    {
        string[] parts = name.Split('.');
        int layer = Array.IndexOf(parts, "layers"), expert = Array.IndexOf(parts, "experts");
        return (layer < 0 || int.Parse(parts[layer + 1], null) < Layers)
            && (expert < 0 || int.Parse(parts[expert + 1], null) < Experts);
    }

    private static StoredTensor Cut(StoredTensor tensor, string name) =>
        !name.EndsWith("mlp.gate.weight", StringComparison.Ordinal)
            ? tensor
            : tensor with
            {
                Shape = [Experts, tensor.Shape[1]],
                Bytes = tensor.Bytes[..(int)(tensor.Bytes.Length * Experts / tensor.Shape[0])],
            };
}

/// <summary>Calls back on the thread that does the work.</summary>
internal sealed class Progress(Action<CompressProgress> action) : IProgress<CompressProgress>
{
    public void Report(CompressProgress value) => action(value);
}
