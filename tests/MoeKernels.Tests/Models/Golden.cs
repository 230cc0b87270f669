using System.Runtime.InteropServices;
using MoeKernels.Formats;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Models;

/// <summary>Reference outputs of a model folder, see the README beside them.</summary>
internal sealed class Golden : IDisposable
{
    private readonly SafetensorsFile _file;

    public Golden(string folder)
    {
        _file = SafetensorsFile.Open(Path.Combine(folder, "golden.safetensors"));
    }

    /// <summary>Folder of a tiny model.</summary>
    public static string Folder(string name) => RepositoryPaths.DataFile("models", name);

    public IEnumerable<string> Names => _file.Tensors.Keys;

    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    public float[] Floats(string name) => Read<float>(name);

    public int[] Ints(string name) => _file.Tensors[name].ElementType == ElementType.I64
        ? Array.ConvertAll(Read<long>(name), value => (int)value)
        : Read<int>(name);

    /// <summary>The rows of a matrix of token ids.</summary>
    public int[][] Rows(string name)
    {
        int columns = (int)_file.Tensors[name].Shape[^1];
        return [.. Ints(name).Chunk(columns)];
    }

    public IReadOnlyList<long> Shape(string name) => _file.Tensors[name].Shape;

    /// <summary>Asserts that values agree to 1e-4 of the largest magnitude.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="actual">Values to compare.</param>
    /// <param name="mask">1 for the rows that count; null for all.</param>
    public void AssertClose(string name, float[] actual, int[]? mask = null)
    {
        float[] expected = Floats(name);
        Assert.Equal(expected.Length, actual.Length);
        float tolerance = 1e-4f * expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
        {
            if (mask is not null && mask[i / (expected.Length / mask.Length)] == 0)
                continue;
            Assert.True(
                Math.Abs(expected[i] - actual[i]) <= tolerance,
                $"{name}[{i}]: expected {expected[i]}, got {actual[i]}, tolerance {tolerance}");
        }
    }

    public void Dispose() => _file.Dispose();

    private T[] Read<T>(string name)
        where T : unmanaged
    {
        TensorInfo tensor = _file.Tensors[name];
        var values = new T[tensor.ElementCount];
        _file.Read(tensor, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
