using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>A model folder with random fp32 weights, and the same weights for a reference.</summary>
internal sealed class RandomCheckpoint(JsonObject config, int seed) : IDisposable
{
    private readonly Random _random = new(seed);
    private readonly TempFolder _folder = new();
    private readonly Dictionary<string, double[][]> _tensors = [];
    private readonly Dictionary<string, long[]> _shapes = [];

    public string Folder => _folder.Path;

    public JsonObject Config => config;

    /// <summary>A tensor; vectors are one row.</summary>
    public double[][] this[string name] => _tensors[name];

    /// <summary>Adds a matrix whose rows keep the size of their input.</summary>
    public void Matrix(string name, int rows, int columns, double scale = 1) =>
        _tensors[name] = [.. Enumerable.Range(0, rows).Select(_ =>
            Random(columns, scale * Math.Sqrt(3.0 / columns), 0))];

    /// <summary>Adds a vector of values around <paramref name="center"/>.</summary>
    public void Vector(string name, int length, double center)
    {
        _tensors[name] = [Random(length, 0.5, center)];
        _shapes.Add(name, [length]);
    }

    /// <summary>Adds a tensor of any shape; the reference sees one row.</summary>
    public void Tensor(string name, long[] shape, double spread)
    {
        _tensors[name] = [Random((int)shape.Aggregate(1L, (product, extent) => product * extent), spread, 0)];
        _shapes.Add(name, shape);
    }

    /// <summary>Adds <c>.weight</c> and <c>.bias</c>.</summary>
    public void Linear(string module, int rows, int columns)
    {
        Matrix($"{module}.weight", rows, columns);
        Vector($"{module}.bias", rows, 0);
    }

    /// <summary>Writes config and weights.</summary>
    /// <param name="nameOnDisk">Names in the file; null leaves a tensor out.</param>
    public void Save(Func<string, string?>? nameOnDisk = null)
    {
        _folder.Write("config.json", config.ToJsonString());
        SafetensorsWriter writer = new();
        foreach (var (name, rows) in _tensors)
        {
            if ((nameOnDisk is null ? name : nameOnDisk(name)) is not { } stored)
                continue;
            long[] shape = _shapes.GetValueOrDefault(name, [rows.Length, rows[0].Length]);
            writer.Add(stored, shape, rows.SelectMany(row => row).Select(value => (float)value).ToArray());
        }

        writer.Save(_folder["model.safetensors"]);
    }

    public void Dispose() => _folder.Dispose();

    private double[] Random(int count, double spread, double center)
    {
        double Next() => (float)(center + (spread * ((2 * _random.NextDouble()) - 1)));
        return [.. Enumerable.Range(0, count).Select(_ => Next())];
    }
}
