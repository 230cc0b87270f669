using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>QMoE's matrices as plain tensors of a checkpoint (FORMAT.md): the codewords as they are, their offsets and
/// levels.</summary>
internal static class QmoeTensors
{
    /// <summary>U16 [codewords].</summary>
    public const string Codes = ".qmoe.w_comp";

    /// <summary>I32 [rows + 1].</summary>
    public const string RowOffsets = ".qmoe.row_off";

    /// <summary>BF16 [rows, 2].</summary>
    public const string Levels = ".qmoe.levels";

    /// <summary>Whether a checkpoint has a matrix of that name.</summary>
    public static bool Contains(Checkpoint checkpoint, string name) => checkpoint.Contains(name + Codes);

    /// <summary>Names of all matrices of a checkpoint, in no particular order.</summary>
    public static IEnumerable<string> Names(Checkpoint checkpoint) => checkpoint.Names
        .Where(name => name.EndsWith(Codes, StringComparison.Ordinal))
        .Select(name => name[..^Codes.Length]);

    /// <summary>Declares the tensors of a matrix.</summary>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public static void Add(SafetensorsWriter writer, string name, QmoeMatrix matrix)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(matrix);
        writer.Add<ushort>(name + Codes, ElementType.U16, [matrix.Codes.Length], matrix.Codes.ToArray());
        writer.Add(name + RowOffsets, [matrix.Rows + 1L], matrix.RowOffsets.ToArray());
        writer.Add<ushort>(name + Levels, ElementType.BF16, [matrix.Rows, 2], matrix.Levels.ToArray());
    }

    /// <summary>Reads a matrix and checks it.</summary>
    /// <param name="checkpoint">The files.</param>
    /// <param name="name">Name of the matrix, such as <c>...expert_0.wi</c>.</param>
    /// <param name="rows">Outputs.</param>
    /// <param name="columns">Inputs, which the tensors do not tell.</param>
    /// <exception cref="MoeFormatException">A tensor is missing or has another type or shape, or the parts contradict
    /// each other.</exception>
    public static QmoeMatrix Read(Checkpoint checkpoint, string name, int rows, int columns)
    {
        Tensor codes = checkpoint.Get(name + Codes);
        Tensor offsets = Shaped(checkpoint, name + RowOffsets, ElementType.I32, rows + 1L);
        Tensor levels = Shaped(checkpoint, name + Levels, ElementType.BF16, rows, 2);
        if (codes.ElementType != ElementType.U16 || codes.Shape.Count != 1)
            throw codes.Error($"is {codes.Info} where a list of U16 belongs");
        return QmoeMatrix.Create(
            codes.FilePath, name, Read<ushort>(codes), Read<int>(offsets), Read<ushort>(levels), columns);
    }

    private static Tensor Shaped(Checkpoint checkpoint, string name, ElementType type, params ReadOnlySpan<long> shape)
    {
        Tensor tensor = checkpoint.Get(name);
        return tensor.ElementType == type && shape.SequenceEqual([.. tensor.Shape])
            ? tensor
            : throw tensor.Error(
                $"is {tensor.Info} where {type.FormatName()} [{string.Join(", ", shape.ToArray())}] belongs");
    }

    private static T[] Read<T>(Tensor tensor)
        where T : unmanaged
    {
        if (tensor.Info.ElementCount > Array.MaxLength / sizeof(int))
            throw new MoeUnsupportedException($"a tensor of {tensor.ByteLength} bytes", tensor.FilePath);
        var values = new T[tensor.Info.ElementCount];
        tensor.Read(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
