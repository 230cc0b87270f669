using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Models;

/// <summary>A changed copy of a model folder: config and tensors may be edited before it is written.</summary>
internal sealed class ModelVariant : IDisposable
{
    private readonly TempFolder _folder = new();

    private ModelVariant(JsonObject config) => Config = config;

    public JsonObject Config { get; }

    public Dictionary<string, StoredTensor> Tensors { get; } = [];

    /// <summary>Reads a folder of tests/data/models.</summary>
    public static ModelVariant Of(string name)
    {
        string folder = Golden.Folder(name);
        string config = File.ReadAllText(Path.Combine(folder, "config.json"));
        var variant = new ModelVariant(JsonNode.Parse(config)!.AsObject());
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        foreach (string tensor in checkpoint.Names)
            variant.Tensors.Add(tensor, StoredTensor.From(checkpoint.Get(tensor)));

        return variant;
    }

    /// <summary>Gives a tensor another name.</summary>
    public void Rename(string from, string to)
    {
        Tensors.Remove(from, out StoredTensor? tensor);
        Tensors.Add(to, tensor!);
    }

    /// <summary>Replaces the per-expert tensors of every routed layer by fused ones.</summary>
    /// <param name="inputsFirst">Layout B when true, C otherwise.</param>
    public void Fuse(bool inputsFirst)
    {
        string[] modules = [.. Tensors.Keys
            .Where(name => name.EndsWith(".experts.0.up_proj.weight", StringComparison.Ordinal))
            .Select(name => name[..name.IndexOf(".0.up_proj", StringComparison.Ordinal)])];
        foreach (string module in modules)
        {
            StoredTensor[] gate = Take(module, "gate_proj");
            StoredTensor[] up = Take(module, "up_proj");
            StoredTensor[] down = Take(module, "down_proj");
            StoredTensor[] both = [.. gate.Zip(up, (first, second) => first.Above(second))];
            Tensors.Add($"{module}.gate_up_proj", StoredTensor.Stack(both, inputsFirst));
            Tensors.Add($"{module}.down_proj", StoredTensor.Stack(down, inputsFirst));
        }
    }

    /// <summary>Writes everything into one file and answers the folder.</summary>
    public string Save()
    {
        File.WriteAllText(_folder["config.json"], Config.ToJsonString());
        var writer = new SafetensorsWriter();
        foreach ((string name, StoredTensor tensor) in Tensors)
            writer.Add(name, tensor.Type, tensor.Shape, stream => stream.Write(tensor.Bytes));

        writer.Save(_folder["model.safetensors"]);
        return _folder.Path;
    }

    /// <summary>Logits of the reference's prompts.</summary>
    public float[] Logits(int[][] prompts)
    {
        using TestModel model = TestModel.Load(Save());
        return model.Prefill(prompts);
    }

    public void Dispose() => _folder.Dispose();

    private StoredTensor[] Take(string module, string matrix)
    {
        var experts = new List<StoredTensor>();
        while (Tensors.Remove($"{module}.{experts.Count}.{matrix}.weight", out StoredTensor? tensor))
            experts.Add(tensor);

        return [.. experts];
    }
}
