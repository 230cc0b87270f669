using MoeKernels.Cuda;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Placement;

/// <summary>What attention layers on a device share: four projections, and one native call for each sequence.</summary>
internal abstract unsafe class DeviceAttentionBase : DeviceLayer
{
    private readonly DeviceRelativeBias? _bias;

    /// <summary>Copies the weights.</summary>
    /// <exception cref="MoeOutOfMemoryException">The device has no room.</exception>
    protected DeviceAttentionBase(
        CudaDevice device, AttentionSpec spec, AttentionProjections weights, RelativePositionBias? bias)
    {
        (Device, Spec) = (device, spec);
        (Width, KeyWidth) = (spec.Heads * spec.HeadDim, spec.KeyValueHeads * spec.HeadDim);
        try
        {
            Query = Place(device, weights.Query, "the query projection");
            Key = Place(device, weights.Key, "the key projection");
            Value = Place(device, weights.Value, "the value projection");
            Output = Place(device, weights.Output, "the output projection");
            _bias = bias is null ? null : Own(new DeviceRelativeBias(device, bias));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The device.</summary>
    protected CudaDevice Device { get; }

    /// <summary>Sizes and rules.</summary>
    protected AttentionSpec Spec { get; }

    /// <summary>[heads * head dim × hidden]; twice the rows with an output gate.</summary>
    protected DeviceMatrix Query { get; }

    /// <summary>[kv heads * head dim × hidden].</summary>
    protected DeviceMatrix Key { get; }

    /// <summary>[kv heads * head dim × hidden].</summary>
    protected DeviceMatrix Value { get; }

    /// <summary>[hidden × heads * head dim].</summary>
    protected DeviceMatrix Output { get; }

    /// <summary>Floats of a row of attended values.</summary>
    protected int Width { get; }

    /// <summary>Floats of a position's keys, and of its values.</summary>
    protected int KeyWidth { get; }

    /// <summary>[heads], or null.</summary>
    protected DeviceArray? Sinks { get; init; }

    /// <inheritdoc/>
    public override long ScratchBytes(CudaDevice device, ForwardBatch batch)
    {
        int rows = batch.Rows;
        long product = Math.Max(
            Math.Max(Query.ScratchBytes(device, rows), Key.ScratchBytes(device, rows)),
            Math.Max(Value.ScratchBytes(device, rows), Output.ScratchBytes(device, rows)));
        long attention = 0;
        foreach (ref readonly SequenceRows sequence in batch.Sequences)
        {
            attention = Math.Max(attention, DeviceOps.AttentionScratchBytes(
                device, sequence.Rows, Spec.Heads, Spec.HeadDim, PositionsOf(sequence)));
        }

        return DeviceQueue.RoundedFloats((long)rows * Query.Outputs)
            + DeviceQueue.RoundedFloats((long)rows * Width)
            + DeviceQueue.Rounded(3L * rows * sizeof(int))
            + Math.Max(product, attention);
    }

    /// <summary>Positions that a sequence's rows attend to.</summary>
    protected abstract int PositionsOf(in SequenceRows sequence);

    /// <summary>What a row of a sequence sees of them.</summary>
    protected abstract RowRange RangeOf(in SequenceRows sequence, int row);

    /// <summary>Computes queries or keys. Those of scores that are not scaled (T5) stay fp32: their rounding weighs
    /// more, by the root of the head's size.</summary>
    protected void Project(DeviceQueue queue, DeviceMatrix matrix, float* x, int rows, float* y)
    {
        if (Spec.Scale == 1)
            matrix.ForwardSingle(queue, x, rows, y);
        else
            matrix.Forward(queue, x, rows, y);
    }

    /// <summary>Copies the ranges of all rows to the device.</summary>
    protected DeviceRanges PutRanges(ForwardContext context, DeviceQueue queue)
    {
        int rows = context.Batch.Rows;
        long mark = context.Workspace.Mark();
        Span<int> all = new(context.Workspace.TakeInts(3L * rows), 3 * rows);
        Span<int> first = all[..rows], last = all[rows..(2 * rows)], places = all[(2 * rows)..];
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            for (int row = 0; row < sequence.Rows; row++)
            {
                int index = sequence.FirstRow + row;
                (first[index], last[index], places[index]) = RangeOf(sequence, row);
            }
        }

        int* copy = queue.Put<int>(all);
        context.Workspace.Release(mark);
        return new DeviceRanges { First = copy, Last = copy + rows, Places = copy + (2 * rows) };
    }

    /// <summary>Attention of one sequence.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="ranges">Of the whole batch.</param>
    /// <param name="sequence">Its rows.</param>
    /// <param name="source">What they attend to.</param>
    /// <param name="q">Queries of the whole batch.</param>
    /// <param name="attended">Receives the batch's values, [rows × width].</param>
    protected void Attend(
        DeviceQueue queue, in DeviceRanges ranges, in SequenceRows sequence, in DeviceSource source, float* q,
        float* attended)
    {
        long row = sequence.FirstRow;
        DeviceAttention call = DeviceAttention.OfRows(Spec.Heads, Spec.KeyValueHeads, Spec.HeadDim);
        (call.Rows, call.Positions, call.Scale) = (sequence.Rows, source.Positions, Spec.Scale);
        (call.QStride, call.QHeadStride) = (Query.Outputs, Query.Outputs / Spec.Heads);
        call.Q = q + (row * Query.Outputs);
        call.K = source.Keys;
        call.V = source.Values;
        call.Y = attended + (row * Width);
        call.First = ranges.First + row;
        call.Last = ranges.Last + row;
        call.Mask = source.Mask;
        call.Sinks = Sinks is null ? null : Sinks.Floats;
        _bias?.Attach(ref call, ranges.Places + row);
        DeviceOps.Attend(queue, call);
    }
}
