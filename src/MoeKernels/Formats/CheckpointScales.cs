using System.Collections.Concurrent;

namespace MoeKernels.Formats;

/// <content>Scales of fp8 matrices.</content>
public sealed unsafe partial class Checkpoint
{
    /// <summary>fp32 copies of scales stored in another type, by name: the only data owned, not mapped.</summary>
    private readonly ConcurrentDictionary<string, Lazy<NativeBuffer>> _widenedScales = new(StringComparer.Ordinal);

    /// <summary>
    /// Three conventions occur: one scale per block (<c>weight_scale_inv</c>, DeepSeek), per row and per tensor
    /// (<c>weight_scale</c>). All of them multiply, whatever the name says.
    /// </summary>
    private WeightMatrix[] F8View(Tensor tensor, ReadOnlySpan<long> stack, int rows, int columns, Block block)
    {
        Tensor scales = ScalesOf(tensor);
        int experts = Count(stack);
        Block shared = SharedBlock(tensor, scales, experts, rows, columns, block);
        long scalesPerMatrix = scales.Info.ElementCount / experts;
        float* first = ScalePointer(scales);
        var views = new WeightMatrix[experts];
        for (int e = 0; e < experts; e++)
        {
            views[e] = WeightMatrix.F8(
                tensor.Data + ((long)e * rows * columns), rows, columns, first + (e * scalesPerMatrix), shared.Rows,
                shared.Columns);
        }

        return views;
    }

    private Tensor ScalesOf(Tensor tensor) =>
        TryGet(tensor.Name + "_scale_inv", out Tensor? scales) || TryGet(tensor.Name + "_scale", out scales)
            ? scales
            : throw tensor.Error($"is fp8, but there is neither {tensor.Name}_scale_inv nor {tensor.Name}_scale");

    /// <summary>Decides by the shape of the scales, in front of which a fused tensor has its axis of experts.</summary>
    private static Block SharedBlock(Tensor tensor, Tensor scales, int experts, int rows, int columns, Block block)
    {
        IEnumerable<long> axes = scales.Shape.Where(extent => extent != 1);
        long[] stack = experts == 1 ? [] : [experts];
        long blockRows = ((long)rows + block.Rows - 1) / block.Rows;
        long blockColumns = ((long)columns + block.Columns - 1) / block.Columns;
        if (Same(blockRows, blockColumns))
            return block;

        if (Same(rows, 1))
            return new Block(1, Math.Max(columns, 1));

        if (Same(1, 1))
            return new Block(Math.Max(rows, 1), Math.Max(columns, 1));

        throw scales.Error(
            $"has the shape [{string.Join(", ", scales.Shape)}]: neither [{blockRows}, {blockColumns}] blocks of "
            + $"{block.Rows} x {block.Columns} nor one scale per row or matrix of {tensor.Info}");

        bool Same(long first, long second) =>
            axes.SequenceEqual(stack.Concat(new[] { first, second }).Where(extent => extent != 1));
    }

    private float* ScalePointer(Tensor scales)
    {
        if (scales.ElementType == ElementType.F32)
            return (float*)scales.Data;

        Lazy<NativeBuffer> copy = _widenedScales.GetOrAdd(scales.Name, _ => new(() => Widen(scales)));
        return (float*)copy.Value.Pointer;
    }

    private static NativeBuffer Widen(Tensor scales)
    {
        float[] values = scales.ToSingles();
        NativeBuffer copy = NativeBuffer.Allocate((long)values.Length * sizeof(float), $"the scales {scales.Name}");
        values.CopyTo(copy.AsSpan<float>());
        return copy;
    }
}
