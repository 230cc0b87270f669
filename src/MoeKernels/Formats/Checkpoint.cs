using System.Diagnostics.CodeAnalysis;

namespace MoeKernels.Formats;

/// <summary>
/// The weights of a model folder: <c>model.safetensors</c>, the shards of <c>model.safetensors.index.json</c>, or every
/// <c>*.safetensors</c> file where neither exists. Files are mapped, so that memory in use is the pages touched.
/// </summary>
/// <remarks>Thread-safe. Pointers inside the library live as long as the checkpoint or a lease on it.</remarks>
public sealed partial class Checkpoint : IDisposable
{
    private readonly SafetensorsFile[] _files;
    private readonly Dictionary<string, Tensor> _tensors = new(StringComparer.Ordinal);

    /// <summary>One count for all files, so that a lease costs the same for 1 and for 163 shards.</summary>
    private readonly Lifetime _lifetime;

    private Checkpoint(string folder, SafetensorsFile[] files)
    {
        Folder = folder;
        _files = files;
        _lifetime = new Lifetime(this, Free);
        foreach (SafetensorsFile file in files)
        {
            foreach (TensorInfo info in file.Tensors.Values)
                Add(file, info);
        }
    }

    /// <summary>The model folder as it was given.</summary>
    public string Folder { get; }

    /// <summary>Paths of the open files.</summary>
    public IReadOnlyList<string> Files => Array.ConvertAll(_files, file => file.Path);

    /// <summary>Names of all tensors.</summary>
    public IReadOnlyCollection<string> Names => _tensors.Keys;

    /// <summary>Bytes of all tensors together.</summary>
    public long ByteLength => _tensors.Values.Sum(tensor => tensor.ByteLength);

    /// <summary>Maps the weight files of a folder and checks their headers and the index.</summary>
    /// <param name="folder">Path of the model folder.</param>
    /// <exception cref="MoeFormatException">A file is missing, not valid, or contradicts the index.</exception>
    /// <exception cref="MoeUnsupportedException">The folder holds weights in another format only.</exception>
    public static Checkpoint Open(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        CheckpointIndex index = CheckpointIndex.Find(folder);
        var files = new List<SafetensorsFile>();
        try
        {
            foreach (string path in index.Files)
                files.Add(SafetensorsFile.Open(path));

            var checkpoint = new Checkpoint(folder, [.. files]);
            index.Check(checkpoint);
            return checkpoint;
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    /// <summary>Maps a single file.</summary>
    /// <exception cref="MoeFormatException">It is missing or not valid.</exception>
    internal static Checkpoint OpenFile(string path) => new(path, [SafetensorsFile.Open(path)]);

    /// <summary>Takes open files over; they are closed also when two of them hold a tensor of the same
    /// name.</summary>
    /// <exception cref="MoeFormatException">A tensor is in two files.</exception>
    internal static Checkpoint Of(string folder, IReadOnlyList<SafetensorsFile> files)
    {
        try
        {
            return new Checkpoint(folder, [.. files]);
        }
        catch
        {
            foreach (SafetensorsFile file in files)
                file.Dispose();
            throw;
        }
    }

    /// <summary>Whether the checkpoint has a tensor of that name.</summary>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public bool Contains(string name) => TryGet(name, out _);

    /// <summary>Finds a tensor.</summary>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public bool TryGet(string name, [NotNullWhen(true)] out Tensor? tensor)
    {
        _lifetime.ThrowIfDisposed();
        return _tensors.TryGetValue(name, out tensor);
    }

    /// <summary>Finds a tensor that must be there.</summary>
    /// <exception cref="MoeFormatException">There is none; the message shows near names.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public Tensor Get(string name) =>
        TryGet(name, out Tensor? tensor)
            ? tensor
            : throw new MoeFormatException(
                Folder, Shown.Short(name), $"the tensor is missing{Shown.NearNames(_tensors.Keys, name)}");

    /// <summary>Releases the mappings, at once or when the last lease ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();

    /// <summary>Takes the pages that were touched out of resident memory, for callers that will not need them soon;
    /// pointers stay valid.</summary>
    internal void ReleasePages() => Array.ForEach(_files, file => file.ReleasePages());

    /// <summary>Keeps every pointer valid for a scope, even when another thread disposes the checkpoint.</summary>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed before.</exception>
    internal Lifetime.Lease Acquire() => _lifetime.Acquire();

    private void Add(SafetensorsFile file, TensorInfo info)
    {
        if (!_tensors.TryAdd(info.Name, new Tensor(file, info)))
            throw new MoeFormatException(
                file.Path, Shown.Short(info.Name), $"the tensor is also in {_tensors[info.Name].FilePath}");
    }

    private void Free()
    {
        Array.ForEach(_files, file => file.Dispose());
        foreach (Lazy<NativeBuffer> copy in _widenedScales.Values)
            copy.Value.Dispose();
    }
}
