using MoeKernels.Cuda;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>What depends on the rows' positions alone: computed on the host, copied to the scratch memory of a
/// device.</summary>
internal static unsafe class DevicePositions
{
    /// <summary>The batch's cosines and sines, [rows × dimensions].</summary>
    public static float* PutAngles(ForwardContext context, DeviceQueue queue, RopeTable rope)
    {
        long mark = context.Workspace.Mark();
        float* angles = rope.TakeAngles(context);
        float* copy = queue.Put(new ReadOnlySpan<float>(angles, checked(context.Batch.Rows * rope.Dimensions)));
        context.Workspace.Release(mark);
        return copy;
    }

    /// <summary>A number of each row, [rows].</summary>
    /// <typeparam name="T">Of 4 bytes.</typeparam>
    /// <param name="context">The batch, and host memory.</param>
    /// <param name="queue">Where it is copied to.</param>
    /// <param name="at">The number at a position.</param>
    public static T* Put<T>(ForwardContext context, DeviceQueue queue, Func<int, T> at)
        where T : unmanaged
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        Span<T> values = new(context.Workspace.Take(rows), rows);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            for (int row = 0; row < sequence.Rows; row++)
                values[sequence.FirstRow + row] = at(sequence.Position + row);
        }

        T* copy = queue.Put<T>(values);
        context.Workspace.Release(mark);
        return copy;
    }
}
