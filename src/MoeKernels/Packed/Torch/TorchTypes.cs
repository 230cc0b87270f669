namespace MoeKernels.Packed;

/// <summary>A tensor named in a pickle: a contiguous part of one storage.</summary>
/// <param name="Type">Encoding of the elements.</param>
/// <param name="Key">The storage: its bytes are the record <c>data/KEY</c>.</param>
/// <param name="StorageCount">Elements of the storage.</param>
/// <param name="Offset">First element in the storage.</param>
/// <param name="Shape">Extents, slowest axis first.</param>
internal sealed record TorchTensor(ElementType Type, string Key, long StorageCount, long Offset, long[] Shape)
{
    /// <summary>Product of the extents.</summary>
    internal long Count => Shape.Aggregate(1L, (product, extent) => product * extent);
}

/// <summary>A storage named in a pickle.</summary>
internal sealed record TorchStorage(ElementType Type, string Key, long Count);

/// <summary>The storage classes of torch and the types of their elements.</summary>
internal static class TorchTypes
{
    private static readonly (string Name, ElementType Type)[] Table =
    [
        ("BFloat16Storage", ElementType.BF16), ("ShortStorage", ElementType.I16), ("IntStorage", ElementType.I32),
        ("FloatStorage", ElementType.F32), ("HalfStorage", ElementType.F16), ("LongStorage", ElementType.I64),
        ("DoubleStorage", ElementType.F64), ("ByteStorage", ElementType.U8), ("CharStorage", ElementType.I8),
        ("BoolStorage", ElementType.Bool),
    ];

    /// <summary>Finds the element type of a class such as <c>torch.ShortStorage</c>.</summary>
    internal static bool TryParse(string global, out ElementType type)
    {
        int index = Array.FindIndex(Table, entry => global == $"torch.{entry.Name}");
        type = index < 0 ? default : Table[index].Type;
        return index >= 0;
    }

    /// <summary>The class of a type, without its module.</summary>
    /// <exception cref="MoeUnsupportedException">Torch has no storage class for the type.</exception>
    internal static string StorageName(ElementType type)
    {
        int index = Array.FindIndex(Table, entry => entry.Type == type);
        return index >= 0
            ? Table[index].Name
            : throw new MoeUnsupportedException($"{type.FormatName()} tensors in a torch file");
    }
}
