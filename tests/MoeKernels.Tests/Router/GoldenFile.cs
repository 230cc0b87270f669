using System.Runtime.InteropServices;
using MoeKernels.Formats;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Router;

/// <summary>Reads a folder's reference outputs, see <c>tests/data/models</c>.</summary>
internal sealed class GoldenFile : IDisposable
{
    private readonly SafetensorsFile _file;

    public GoldenFile(string folder, string name = "golden.safetensors") =>
        _file = SafetensorsFile.Open(RepositoryPaths.DataFile("models", folder, name));

    public IEnumerable<string> Names => _file.Tensors.Keys;

    public bool Has(string name) => _file.Tensors.ContainsKey(name);

    public int[] Shape(string name) => [.. _file.Tensors[name].Shape.Select(extent => (int)extent)];

    public float[] Floats(string name) => Read<float>(name);

    public int[] Ints(string name) =>
        _file.Tensors[name].ElementType == ElementType.I64
            ? Array.ConvertAll(Read<long>(name), value => (int)value)
            : Read<int>(name);

    /// <summary>Module paths of the routers that the file has logits of.</summary>
    public string[] Routers() =>
    [
        .. Names.Where(name => name.StartsWith("router.", StringComparison.Ordinal)
            && name.EndsWith(".logits", StringComparison.Ordinal)).Select(name => name[..^".logits".Length]).Order(),
    ];

    public void Dispose() => _file.Dispose();

    private T[] Read<T>(string name)
        where T : unmanaged
    {
        var info = _file.Tensors[name];
        var values = new T[info.ElementCount];
        _file.Read(info, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
