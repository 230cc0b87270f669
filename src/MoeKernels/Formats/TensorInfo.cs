namespace MoeKernels.Formats;

/// <summary>One entry of a safetensors header, checked against the file.</summary>
public sealed class TensorInfo
{
    internal TensorInfo(string name, ElementType elementType, long[] shape, long offset, long byteLength)
    {
        Name = name;
        ElementType = elementType;
        Shape = shape;
        Offset = offset;
        ByteLength = byteLength;
    }

    /// <summary>Name in the file.</summary>
    public string Name { get; }

    /// <summary>Encoding of the elements.</summary>
    public ElementType ElementType { get; }

    /// <summary>Extents, slowest axis first; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>First byte of the data, counted from the start of the file.</summary>
    public long Offset { get; }

    /// <summary>Bytes of the data: elements × bits / 8.</summary>
    public long ByteLength { get; }

    /// <summary>Product of the extents.</summary>
    public long ElementCount => Shape.Aggregate(1L, (product, extent) => product * extent);

    /// <summary>Type and extents as an error message shows them: <c>BF16 [96, 48]</c>.</summary>
    public override string ToString() => $"{ElementType.FormatName()} [{string.Join(", ", Shape)}]";
}
