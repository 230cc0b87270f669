namespace MoeKernels.Models.Layers;

/// <summary>The inputs of a causal convolution over one sequence: rows kept from earlier calls, then this
/// call's.</summary>
/// <param name="shape">Sizes and channel order.</param>
/// <param name="kept">[taps - 1 × channels], oldest first.</param>
/// <param name="mixed">Projected rows of this call.</param>
internal readonly unsafe struct ConvolutionWindow(in DeltaNetShape shape, float* kept, float* mixed)
{
    private readonly DeltaNetShape _shape = shape;

    /// <summary>A row of this call.</summary>
    public float* Row(int row) => mixed + ((nint)row * _shape.MixedWidth);

    /// <summary>Points to the inputs of all taps at one row, oldest first.</summary>
    /// <param name="row">Row of this call.</param>
    /// <param name="offset">Where the channels are in a projected row.</param>
    /// <param name="channel">Their number as channels of the convolution.</param>
    /// <param name="inputs">Receives [taps] pointers.</param>
    public void Point(int row, int offset, int channel, float** inputs)
    {
        int before = _shape.Taps - 1;
        for (int tap = 0; tap <= before; tap++)
        {
            int source = row - before + tap;
            inputs[tap] = source < 0
                ? kept + ((nint)(before + source) * _shape.Channels) + channel
                : Row(source) + offset;
        }
    }

    /// <summary>Keeps the last inputs for the next call.</summary>
    /// <param name="rows">Rows of this call.</param>
    /// <param name="target">Another array than the one kept so far, [taps - 1 × channels].</param>
    public void Save(int rows, float* target)
    {
        int before = _shape.Taps - 1;
        for (int i = 0; i < before; i++, target += _shape.Channels)
        {
            int source = rows - before + i;
            if (source < 0)
                Copy(kept + ((nint)(before + source) * _shape.Channels), target, _shape.Channels);
            else
                Gather(Row(source), target);
        }
    }

    private void Gather(float* row, float* target)
    {
        for (int head = 0; head < _shape.KeyHeads; head++)
        {
            float* query = row + _shape.QueryOffset(head);
            int channel = head * _shape.KeyDim;
            Copy(query, target + channel, _shape.KeyDim);
            Copy(query + _shape.KeyDim, target + _shape.KeyChannels + channel, _shape.KeyDim);
        }

        for (int head = 0; head < _shape.ValueHeads; head++)
        {
            float* values = target + _shape.ValueChannels + (head * _shape.ValueDim);
            Copy(row + _shape.ValueOffset(head), values, _shape.ValueDim);
        }
    }

    private static void Copy(float* source, float* target, int count) =>
        new ReadOnlySpan<float>(source, count).CopyTo(new Span<float>(target, count));
}
