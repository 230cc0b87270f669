namespace MoeKernels.Formats;

/// <summary>A tensor of an open <see cref="Checkpoint"/>: its header entry and the file that holds it.</summary>
public sealed class Tensor
{
    private readonly SafetensorsFile _file;

    internal Tensor(SafetensorsFile file, TensorInfo info)
    {
        _file = file;
        Info = info;
    }

    /// <summary>The header entry.</summary>
    public TensorInfo Info { get; }

    /// <summary>Name in the checkpoint.</summary>
    public string Name => Info.Name;

    /// <summary>Encoding of the elements.</summary>
    public ElementType ElementType => Info.ElementType;

    /// <summary>Extents, slowest axis first; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape => Info.Shape;

    /// <summary>Bytes of the data.</summary>
    public long ByteLength => Info.ByteLength;

    /// <summary>Path of the file that holds the data.</summary>
    public string FilePath => _file.Path;

    /// <summary>The file that holds the data.</summary>
    internal SafetensorsFile File => _file;

    /// <summary>First byte; valid while the checkpoint or a lease on it is held.</summary>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    internal unsafe byte* Data => _file.DataPointer(Info);

    /// <summary>Copies part of the tensor's bytes.</summary>
    /// <param name="byteOffset">First byte to copy, counted from the start of the tensor.</param>
    /// <param name="destination">Takes its own length in bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the tensor.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public void Read(long byteOffset, Span<byte> destination) => _file.Read(Info, byteOffset, destination);

    /// <summary>Copies the elements widened to fp32; the tensor must be F32, F16, BF16, F64, F8_E4M3 or
    /// F8_E5M2.</summary>
    /// <exception cref="MoeFormatException">The elements are no floats.</exception>
    /// <exception cref="MoeUnsupportedException">The tensor has 2^31 elements or more.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public float[] ToSingles()
    {
        if (Info.ElementCount > Array.MaxLength)
            throw new MoeUnsupportedException($"a copy of {Info.ElementCount} elements of '{Name}'", FilePath);

        var values = new float[Info.ElementCount];
        using Lifetime.Lease lease = _file.Acquire();
        unsafe
        {
            if (!FloatWidening.TryWiden(ElementType, Data, values))
                throw Error($"holds {ElementType.FormatName()} where floating-point values belong");
        }

        return values;
    }

    /// <summary>Type, extents and name: <c>BF16 [96, 48] lm_head.weight</c>.</summary>
    public override string ToString() => $"{Info} {Name}";

    /// <summary>An error about this tensor.</summary>
    internal MoeFormatException Error(string problem) => new(FilePath, Shown.Short(Name), problem);
}
