using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace MoeKernels.Formats;

/// <summary>
/// A safetensors file, mapped into memory: nothing is read but the header until a tensor is touched, and clean pages
/// go back to the system when memory is short.
/// </summary>
/// <remarks>
/// Thread-safe. Do not truncate or overwrite a file in place while it is open: the pages are the file.
/// Source: https://huggingface.co/docs/safetensors, whose reference implementation refuses the same files.
/// </remarks>
public sealed class SafetensorsFile : IDisposable
{
    private readonly Lifetime _lifetime;
    private readonly unsafe byte* _start;

    private unsafe SafetensorsFile(string path, long length, SafeMemoryMappedViewHandle view)
    {
        Path = path;
        ByteLength = length;
        _lifetime = new Lifetime(this, view.Dispose);
        _start = (byte*)view.DangerousGetHandle();
        SafetensorsHeader header = ReadHeader();
        Tensors = header.Tensors;
        Metadata = header.Metadata;
    }

    private unsafe SafetensorsFile(
        string path, long length, SafeMemoryMappedViewHandle view, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        Path = path;
        ByteLength = length;
        _lifetime = new Lifetime(this, view.Dispose);
        _start = (byte*)view.DangerousGetHandle();
        Tensors = tensors;
        Metadata = new Dictionary<string, string>();
        foreach (TensorInfo tensor in tensors.Values)
        {
            if (tensor.Offset < 0 || tensor.Offset > length - tensor.ByteLength)
                throw new MoeFormatException(path, Shown.Short(tensor.Name), "the tensor is not inside the file");
        }
    }

    /// <summary>Path as it was given.</summary>
    public string Path { get; }

    /// <summary>Length of the file in bytes.</summary>
    public long ByteLength { get; }

    /// <summary>Tensors by name.</summary>
    public IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The strings of <c>__metadata__</c>; often <c>format: pt</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps a file and checks its header.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="MoeFormatException">The file is missing, unreadable, truncated or its header is not
    /// valid.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        SafeMemoryMappedViewHandle view = Map(path, out long length);
        try
        {
            return new SafetensorsFile(path, length, view);
        }
        catch
        {
            view.Dispose();
            throw;
        }
    }

    /// <summary>Maps a file of another format, whose tensors lie in it as safetensors have them.</summary>
    /// <param name="path">Path of the file.</param>
    /// <param name="tensors">Tensors by name, with their places in the file.</param>
    /// <exception cref="MoeFormatException">The file is missing or unreadable, or a tensor is not inside
    /// it.</exception>
    internal static SafetensorsFile OpenForeign(string path, IReadOnlyDictionary<string, TensorInfo> tensors)
    {
        SafeMemoryMappedViewHandle view = Map(path, out long length);
        try
        {
            return new SafetensorsFile(path, length, view, tensors);
        }
        catch
        {
            view.Dispose();
            throw;
        }
    }

    /// <summary>Copies part of a tensor's bytes.</summary>
    /// <param name="tensor">An entry of <see cref="Tensors"/>.</param>
    /// <param name="byteOffset">First byte to copy, counted from the start of the tensor.</param>
    /// <param name="destination">Takes its own length in bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public unsafe void Read(TensorInfo tensor, long byteOffset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, tensor.ByteLength - destination.Length);
        using Lifetime.Lease lease = Acquire();
        new ReadOnlySpan<byte>(DataPointer(tensor) + byteOffset, destination.Length).CopyTo(destination);
    }

    /// <summary>Takes the pages that were touched out of resident memory; pointers stay valid.</summary>
    internal unsafe void ReleasePages()
    {
        using Lifetime.Lease lease = Acquire();
        LinuxMemory.Release((nint)_start, ByteLength);
    }

    /// <summary>Releases the mapping, at once or when the last lease ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();

    /// <summary>Whether the file is read in large pages.</summary>
    internal bool HasHugePages { get; private set; }

    /// <summary>Asks for large pages for what is not in the page cache yet.</summary>
    internal unsafe void UseHugePages()
    {
        using Lifetime.Lease lease = Acquire();
        HasHugePages = HasHugePages || LinuxMemory.UseHugePages((nint)_start, ByteLength);
    }

    /// <summary>Keeps every pointer valid for a scope, even when another thread disposes the file.</summary>
    /// <exception cref="ObjectDisposedException">The file was disposed before.</exception>
    internal Lifetime.Lease Acquire() => _lifetime.Acquire();

    /// <summary>First byte of the file; valid while the file or a lease on it is held.</summary>
    internal unsafe byte* Start => _start;

    /// <summary>First byte of a tensor, any alignment; valid while the file or a lease on it is held.</summary>
    /// <exception cref="ArgumentException">The tensor is of another file.</exception>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    internal unsafe byte* DataPointer(TensorInfo tensor)
    {
        _lifetime.ThrowIfDisposed();
        if (!Tensors.TryGetValue(tensor.Name, out TensorInfo? own) || !ReferenceEquals(own, tensor))
            throw new ArgumentException($"'{tensor.Name}' is not a tensor of {Path}.", nameof(tensor));

        return _start + tensor.Offset;
    }

    private static SafeMemoryMappedViewHandle Map(string path, out long length)
    {
        try
        {
            // Asked before opening: a pipe or device has length 0 here, and opening a pipe would wait for its writer.
            length = FileLength.Of(path);
            if (length < SafetensorsHeader.PrefixBytes)
                throw new MoeFormatException(path, null, $"{length} bytes are too short for a safetensors file");

            using MemoryMappedFile mapped = MemoryMappedFile.CreateFromFile(
                new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0),
                mapName: null,
                capacity: 0,
                MemoryMappedFileAccess.Read,
                HandleInheritability.None,
                leaveOpen: false);
            return mapped.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read).SafeMemoryMappedViewHandle;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new MoeFormatException(path, null, "the file does not exist", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new MoeFormatException(path, null, $"the file cannot be read: {e.Message}", e);
        }
    }

    private unsafe SafetensorsHeader ReadHeader()
    {
        ulong bytes = BinaryPrimitives.ReadUInt64LittleEndian(new(_start, SafetensorsHeader.PrefixBytes));
        if (bytes > SafetensorsHeader.MaxBytes)
            throw Error($"no safetensors file: its header of {bytes} bytes exceeds {SafetensorsHeader.MaxBytes}");

        if ((long)bytes > ByteLength - SafetensorsHeader.PrefixBytes)
            throw Error($"the header takes {bytes} bytes, the file has {ByteLength}: it is truncated");

        ReadOnlySpan<byte> json = new(_start + SafetensorsHeader.PrefixBytes, (int)bytes);
        return SafetensorsHeader.Parse(Path, json, ByteLength);
    }

    private MoeFormatException Error(string problem) => new(Path, null, problem);
}
