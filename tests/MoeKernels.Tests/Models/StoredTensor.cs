using System.Runtime.InteropServices;
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

    /// <summary>The same values in single precision.</summary>
    public StoredTensor Widened()
    {
        var values = new float[Bytes.Length / Width];
        unsafe
        {
            fixed (byte* bytes = Bytes)
                Assert.True(FloatWidening.TryWiden(Type, bytes, values));
        }

        return Of(values, Shape);
    }

    /// <summary>The first rows and columns of a matrix.</summary>
    public StoredTensor Corner(int rows, int columns)
    {
        int rowBytes = (int)Shape[1] * Width;
        var bytes = new List<byte>();
        for (int row = 0; row < rows; row++)
            bytes.AddRange(Bytes.AsSpan(row * rowBytes, columns * Width));

        return new StoredTensor(Type, [rows, columns], [.. bytes]);
    }

    /// <summary>bf16 rounded to half precision.</summary>
    public StoredTensor Halved()
    {
        if (Type != ElementType.BF16)
            return this;

        float[] values = MemoryMarshal.Cast<byte, float>(Widened().Bytes).ToArray();
        Half[] halves = Array.ConvertAll(values, value => (Half)value);
        return this with { Type = ElementType.F16, Bytes = MemoryMarshal.AsBytes(halves.AsSpan()).ToArray() };
    }

    /// <summary>A tensor of single-precision values.</summary>
    public static StoredTensor Of(float[] values, params long[] shape) =>
        new(ElementType.F32, shape, MemoryMarshal.AsBytes(values.AsSpan()).ToArray());

    /// <summary>The same tensor with one element replaced by NaN (bf16).</summary>
    public StoredTensor WithNaN()
    {
        byte[] bytes = [.. Bytes];
        (bytes[0], bytes[1]) = (0xC0, 0x7F);
        return this with { Bytes = bytes };
    }
}
