using System.Buffers.Binary;
using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>Stacks of matrices of small integers as plain safetensors tensors (FORMAT.md): loading is mapping the
/// file.</summary>
internal static unsafe class IntegerTensors
{
    /// <summary>Version this code writes and the only one it reads.</summary>
    public const int Version = 1;

    /// <summary>Numbers of the header.</summary>
    public const int HeaderLength = 16;

    /// <summary>Ending of the header.</summary>
    public const string HeaderSuffix = ".int_header";

    /// <summary>Ending of zero points and codes.</summary>
    public const string RowsSuffix = ".int";

    private const string ScalesSuffix = ".int_scales";

    /// <summary>Bits of the smallest fp16 number that is none: infinity; the sign makes numbers larger.</summary>
    private const ushort Infinity = 0x7C00;

    /// <summary>Endings of the tensors of a stack.</summary>
    public static IReadOnlyList<string> Suffixes { get; } = [HeaderSuffix, RowsSuffix, ScalesSuffix];

    /// <summary>Whether a checkpoint has a stack of that name.</summary>
    public static bool Contains(Checkpoint checkpoint, string name) => checkpoint.Contains(name + HeaderSuffix);

    /// <summary>Names of all stacks of a checkpoint.</summary>
    public static IEnumerable<string> StacksOf(Checkpoint checkpoint) => checkpoint.Names
        .Where(name => name.EndsWith(HeaderSuffix, StringComparison.Ordinal))
        .Select(name => name[..^HeaderSuffix.Length]).Order(StringComparer.Ordinal);

    /// <summary>Declares the tensors of a stack.</summary>
    /// <param name="writer">The file.</param>
    /// <param name="name">Name of the stack.</param>
    /// <param name="stack">Its matrices; read while the file is written.</param>
    /// <exception cref="ArgumentException">A length is wrong, a scale is negative or not finite, or a name is
    /// taken.</exception>
    public static void Add(SafetensorsWriter writer, string name, IntegerStack stack)
    {
        IntegerShape shape = stack.Shape;
        int count = stack.Matrices.Count;
        foreach (IntegerCodes matrix in stack.Matrices)
        {
            if (matrix.Rows.LongLength != (long)shape.Rows * shape.RowBytes
                || matrix.Scales.LongLength != (long)shape.Rows * shape.Groups
                || FirstBadScale(matrix.Scales) >= 0)
            {
                throw new ArgumentException($"A matrix does not fit {shape}.", nameof(stack));
            }
        }

        int[] header = new int[HeaderLength];
        (header[0], header[1], header[2]) = (Version, shape.Rows, shape.Columns);
        (header[3], header[4], header[5]) = (shape.Bits, IntegerShape.GroupColumns, count);
        writer.Add(name + HeaderSuffix, [HeaderLength], header);
        writer.Add(name + RowsSuffix, ElementType.U8, [count, shape.Rows, shape.RowBytes], stream =>
        {
            foreach (IntegerCodes matrix in stack.Matrices)
                stream.Write(matrix.Rows);
        });
        writer.Add(name + ScalesSuffix, ElementType.F16, [count, shape.Rows, shape.Groups], stream =>
        {
            foreach (IntegerCodes matrix in stack.Matrices)
                stream.Write(MemoryMarshal.AsBytes<ushort>(matrix.Scales));
        });
    }

    /// <summary>Sizes of a stack, from its header alone.</summary>
    /// <exception cref="MoeFormatException">The header is missing or damaged.</exception>
    /// <exception cref="MoeUnsupportedException">The version is another one.</exception>
    public static (IntegerShape Shape, int Count) ReadHeader(Checkpoint checkpoint, string name)
    {
        Tensor tensor = checkpoint.Get(name + HeaderSuffix);
        Check(tensor, ElementType.I32, [HeaderLength]);
        Span<byte> bytes = stackalloc byte[HeaderLength * sizeof(int)];
        tensor.Read(0, bytes);
        Span<int> header = stackalloc int[HeaderLength];
        for (int i = 0; i < HeaderLength; i++)
            header[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(i * sizeof(int))..]);

        if (header[0] != Version)
            throw new MoeUnsupportedException($"version {header[0]} of integer matrices", tensor.FilePath);
        if (header[4] != IntegerShape.GroupColumns)
            throw tensor.Error($"gives groups of {header[4]} columns instead of {IntegerShape.GroupColumns}");
        if (header[5] < 1)
            throw tensor.Error($"gives {header[5]} matrices");
        if (header[6..].ContainsAnyExcept(0))
            throw tensor.Error("has numbers behind the number of matrices");
        try
        {
            return (new IntegerShape(header[1], header[2], header[3]), header[5]);
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw tensor.Error($"gives {e.ParamName} as {e.ActualValue}, out of range");
        }
    }

    /// <summary>Views the matrices of a stack in the mapped file.</summary>
    /// <param name="checkpoint">The files; they must stay open while the views are used.</param>
    /// <param name="name">Name of the stack.</param>
    /// <exception cref="MoeFormatException">A tensor is missing or contradicts the header.</exception>
    /// <exception cref="MoeUnsupportedException">The version is another one.</exception>
    public static WeightMatrix[] Read(Checkpoint checkpoint, string name)
    {
        (IntegerShape shape, int count) = ReadHeader(checkpoint, name);
        Tensor rows = checkpoint.Get(name + RowsSuffix);
        Tensor scales = checkpoint.Get(name + ScalesSuffix);
        Check(rows, ElementType.U8, [count, shape.Rows, shape.RowBytes]);
        Check(scales, ElementType.F16, [count, shape.Rows, shape.Groups]);

        // The safetensors header promises no alignment of the file's parts to the scales' two bytes.
        if (((nint)scales.Data & 1) != 0)
            throw scales.Error("starts at an odd address");
        var own = (ushort*)scales.Data;
        var matrices = new WeightMatrix[count];
        for (int e = 0; e < count; e++, own += (nint)shape.Rows * shape.Groups)
        {
            for (int row = 0; row < shape.Rows; row++)
            {
                if (FirstBadScale(new(own + ((nint)row * shape.Groups), shape.Groups)) >= 0)
                    throw scales.Error($"a scale of row {row} of matrix {e} is negative or not finite");
            }

            matrices[e] = WeightMatrix.Integers(
                rows.Data + ((nint)e * shape.Rows * shape.RowBytes), shape, own);
        }

        return matrices;
    }

    private static int FirstBadScale(ReadOnlySpan<ushort> scales) =>
        scales.IndexOfAnyExceptInRange((ushort)0, (ushort)(Infinity - 1));

    private static void Check(Tensor tensor, ElementType type, ReadOnlySpan<long> shape)
    {
        if (tensor.ElementType != type || !shape.SequenceEqual(tensor.Shape.ToArray()))
        {
            throw tensor.Error(
                $"is {tensor.Info} instead of {type.FormatName()} [{string.Join(", ", shape.ToArray())}]");
        }
    }
}
