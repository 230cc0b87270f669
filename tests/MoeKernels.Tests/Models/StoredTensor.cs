using MoeKernels.Formats;

namespace MoeKernels.Tests.Models;

/// <summary>A tensor's bytes, to be edited and written again.</summary>
internal sealed record StoredTensor(ElementType Type, long[] Shape, byte[] Bytes)
{
    private int Width => Type.Bits() / 8;

    public static StoredTensor From(Tensor tensor)
    {
        var bytes = new byte[tensor.ByteLength];
        tensor.Read(0, bytes);
        return new StoredTensor(tensor.ElementType, [.. tensor.Shape], bytes);
    }

    /// <summary>The rows of two matrices, one below the other.</summary>
    public StoredTensor Above(StoredTensor below) =>
        this with { Shape = [Shape[0] + below.Shape[0], Shape[1]], Bytes = [.. Bytes, .. below.Bytes] };

    /// <summary>Matrices as one tensor, each transposed when asked for.</summary>
    public static StoredTensor Stack(StoredTensor[] matrices, bool transposed)
    {
        StoredTensor[] parts = transposed ? Array.ConvertAll(matrices, matrix => matrix.Transposed()) : matrices;
        return new StoredTensor(
            parts[0].Type, [parts.Length, .. parts[0].Shape], [.. parts.SelectMany(part => part.Bytes)]);
    }

    /// <summary>The last two axes exchanged.</summary>
    public StoredTensor Transposed()
    {
        (long rows, long columns) = (Shape[^2], Shape[^1]);
        var bytes = new byte[Bytes.Length];
        for (long i = 0; i < Bytes.Length / Width; i++)
        {
            (long matrix, long row, long column) = (i / (rows * columns), i / columns % rows, i % columns);
            long target = (matrix * rows * columns) + (column * rows) + row;
            Array.Copy(Bytes, i * Width, bytes, target * Width, Width);
        }

        return this with { Shape = [.. Shape[..^2], columns, rows], Bytes = bytes };
    }

    /// <summary>bf16 widened to single precision.</summary>
    public StoredTensor Widened()
    {
        if (Type != ElementType.BF16)
            return this;

        var bytes = new byte[2 * Bytes.Length];
        for (int i = 0; i < Bytes.Length; i += 2)
            (bytes[(2 * i) + 2], bytes[(2 * i) + 3]) = (Bytes[i], Bytes[i + 1]);

        return this with { Type = ElementType.F32, Bytes = bytes };
    }

    /// <summary>The same tensor with one element replaced by NaN (bf16).</summary>
    public StoredTensor WithNaN()
    {
        byte[] bytes = [.. Bytes];
        (bytes[0], bytes[1]) = (0xC0, 0x7F);
        return this with { Bytes = bytes };
    }
}
