namespace MoeKernels.Formats;

/// <content>Typed views for the model loader: matrices in their stored width, small tensors as fp32.</content>
public sealed unsafe partial class Checkpoint
{
    /// <summary>Columns of one MXFP4 block and the bytes that hold them.</summary>
    private const int MxBlock = 32;
    private const int MxBlockBytes = 16;

    /// <summary>Whether the checkpoint has a matrix of that name, plain or as MXFP4 blocks.</summary>
    internal bool HasMatrix(string name) => Contains(name) || Contains(name + "_blocks");

    /// <summary>
    /// A view of a matrix [rows, columns]: F32, F16 or BF16; fp8 e4m3 with its partner <c>_scale_inv</c> or
    /// <c>_scale</c>;
    /// or MXFP4 as the pair <c>_blocks</c> [rows, columns / 32, 16] and <c>_scales</c> [rows, columns / 32].
    /// </summary>
    /// <param name="name">Name of the tensor, or without the ending of a pair.</param>
    /// <param name="rows">Outputs the configuration asks for.</param>
    /// <param name="columns">Inputs the configuration asks for.</param>
    /// <param name="fp8BlockRows">Rows of a fp8 block (<c>quantization_config.weight_block_size</c>).</param>
    /// <param name="fp8BlockColumns">Columns of a fp8 block.</param>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    internal WeightMatrix Matrix(
        string name, int rows, int columns, int fp8BlockRows = 128, int fp8BlockColumns = 128) =>
        View(name, [], rows, columns, new Block(fp8BlockRows, fp8BlockColumns))[0];

    /// <summary>One view per expert of a fused tensor [experts, rows, columns], as <see cref="Matrix"/>.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    internal WeightMatrix[] Matrices(
        string name, int experts, int rows, int columns, int fp8BlockRows = 128, int fp8BlockColumns = 128) =>
        View(name, [experts], rows, columns, new Block(fp8BlockRows, fp8BlockColumns));

    /// <summary>A fp32 copy of a vector; axes of extent 1 around it are allowed.</summary>
    /// <exception cref="MoeFormatException">The tensor is missing, of another length or not of floats.</exception>
    internal float[] Vector(string name, int length)
    {
        Tensor tensor = Get(name);
        return tensor.Shape.Where(extent => extent != 1).SequenceEqual(length == 1 ? [] : [(long)length])
            ? tensor.ToSingles()
            : throw WrongShape(tensor, [length]);
    }

    /// <summary>As <see cref="Vector"/>, or null where the checkpoint has no such tensor.</summary>
    internal float[]? OptionalVector(string name, int length) => Contains(name) ? Vector(name, length) : null;

    /// <summary>A fp32 copy of a small tensor of exactly this shape.</summary>
    /// <exception cref="MoeFormatException">The tensor is missing, of another shape or not of floats.</exception>
    internal float[] Singles(string name, params ReadOnlySpan<long> shape) => Shaped(name, shape).ToSingles();

    private WeightMatrix[] View(string name, ReadOnlySpan<long> stack, int rows, int columns, Block block)
    {
        if (!Contains(name) && Contains(name + "_blocks"))
            return MxView(name, stack, rows, columns);

        Tensor tensor = Shaped(name, [.. stack, rows, columns]);
        WeightFormat? format = tensor.ElementType switch
        {
            ElementType.F32 => WeightFormat.F32,
            ElementType.F16 => WeightFormat.F16,
            ElementType.BF16 => WeightFormat.BF16,
            ElementType.F8E4M3 => WeightFormat.F8E4M3,
            _ => throw tensor.Error($"{tensor.Info} is no weight type (F32, F16, BF16, F8_E4M3 or MXFP4 pairs)"),
        };
        if (format == WeightFormat.F8E4M3)
            return F8View(tensor, stack, rows, columns, block);

        nint rowBytes = (nint)columns * tensor.ElementType.Bits() / 8;
        byte* data = tensor.Data;
        var views = new WeightMatrix[Count(stack)];
        for (int e = 0; e < views.Length; e++)
            views[e] = new WeightMatrix(format.Value, data + ((nint)e * rows * rowBytes), rows, columns, rowBytes);

        return views;
    }

    private WeightMatrix[] MxView(string name, ReadOnlySpan<long> stack, int rows, int columns)
    {
        int blocks = columns / MxBlock;
        Tensor data = Typed(Shaped(name + "_blocks", [.. stack, rows, blocks, MxBlockBytes]), ElementType.U8);
        if (columns % MxBlock != 0)
            throw data.Error($"{columns} columns are no whole number of MXFP4 blocks of {MxBlock}");

        Tensor scales = Shaped(name + "_scales", [.. stack, rows, blocks]);
        if (scales.ElementType != ElementType.F8E8M0)
            Typed(scales, ElementType.U8);

        nint matrixScales = (nint)rows * blocks;
        var views = new WeightMatrix[Count(stack)];
        for (int e = 0; e < views.Length; e++)
        {
            views[e] = WeightMatrix.Mx4(
                data.Data + (e * matrixScales * MxBlockBytes), rows, columns, scales.Data + (e * matrixScales));
        }

        return views;
    }

    private Tensor Shaped(string name, ReadOnlySpan<long> shape)
    {
        Tensor tensor = Get(name);
        return shape.SequenceEqual([.. tensor.Shape]) ? tensor : throw WrongShape(tensor, shape);
    }

    private static Tensor Typed(Tensor tensor, ElementType type) =>
        tensor.ElementType == type
            ? tensor
            : throw tensor.Error($"is {tensor.ElementType.FormatName()} where {type.FormatName()} belongs");

    private static MoeFormatException WrongShape(Tensor tensor, ReadOnlySpan<long> shape) =>
        tensor.Error($"has the shape [{string.Join(", ", tensor.Shape)}], the configuration asks for "
            + $"[{string.Join(", ", shape.ToArray())}]");

    private static int Count(ReadOnlySpan<long> stack) => stack.IsEmpty ? 1 : (int)stack[0];

    /// <summary>Extents of the part of a matrix that shares one fp8 scale.</summary>
    private readonly record struct Block(int Rows, int Columns);
}
