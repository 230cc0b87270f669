using System.Runtime.InteropServices;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.KvCache;

/// <summary>What a gated delta net remembers of one sequence, whatever its length: the last inputs of the convolution
/// and a matrix per value head.</summary>
/// <remarks>
/// Two copies take turns: a call reads the one of its first position and writes the other. A call that fails half-way
/// through a model thus leaves every layer able to start again.
/// </remarks>
internal sealed unsafe class RecurrentState : LayerState
{
    private const int Lanes = 16;

    private readonly NativeBuffer _buffer;
    private readonly long _floats;
    private readonly long _convolutionFloats;
    private readonly int[] _positions = [0, -1];

    /// <summary>An empty sequence.</summary>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public RecurrentState(DeltaNetSpec spec)
    {
        _convolutionFloats = ConvolutionFloats(spec);
        _floats = Floats(spec);
        _buffer = NativeBuffer.AllocateZeroed(Bytes(spec), "the recurrent state");
    }

    /// <inheritdoc/>
    public override bool CanRewind => false;

    /// <summary>A head's dimension rounded up to whole vectors.</summary>
    public static long Padded(long dimension) => (dimension + Lanes - 1) / Lanes * Lanes;

    /// <summary>Bytes of a state.</summary>
    public static long Bytes(DeltaNetSpec spec) => 2 * Floats(spec) * sizeof(float);

    /// <summary>Begins a call at <paramref name="position"/> that will consume <paramref name="rows"/>
    /// positions.</summary>
    /// <returns>The copy to read and the copy to write.</returns>
    /// <exception cref="InvalidOperationException">Neither copy is of this position.</exception>
    public (RecurrentMemory From, RecurrentMemory To) Begin(int position, int rows)
    {
        int from = Array.IndexOf(_positions, position);
        if (from < 0)
            throw new InvalidOperationException($"The recurrent state is not at position {position}.");
        _positions[1 - from] = position + rows;
        return (Copy(from), Copy(1 - from));
    }

    /// <inheritdoc/>
    public override void CopyFrom(LayerState source, int positions)
    {
        var other = (RecurrentState)source;
        int from = Array.IndexOf(other._positions, positions);
        if (from < 0)
            throw new InvalidOperationException($"The recurrent state is not at position {positions}.");
        long bytes = _floats * sizeof(float);
        Buffer.MemoryCopy(other.Start(from), Start(0), bytes, bytes);
        (_positions[0], _positions[1]) = (positions, -1);
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        NativeMemory.Clear(Start(0), (nuint)(_floats * sizeof(float)));
        (_positions[0], _positions[1]) = (0, -1);
    }

    /// <inheritdoc/>
    public override void Dispose() => _buffer.Dispose();

    private static long ConvolutionFloats(DeltaNetSpec spec) =>
        Padded((spec.ConvKernel - 1L) * spec.Channels);

    private static long Floats(DeltaNetSpec spec) =>
        ConvolutionFloats(spec) + ((long)spec.ValueHeads * spec.KeyDim * Padded(spec.ValueDim));

    private RecurrentMemory Copy(int index) => new(Start(index), Start(index) + _convolutionFloats);

    private float* Start(int index) => (float*)_buffer.Pointer + (index * _floats);
}

/// <summary>One copy of a recurrent state.</summary>
/// <param name="convolution">[taps - 1 × channels], oldest first.</param>
/// <param name="matrices">[value heads × key dim × padded value dim]; what is padded stays 0.</param>
internal readonly unsafe struct RecurrentMemory(float* convolution, float* matrices)
{
    public float* Convolution => convolution;

    public float* Matrices => matrices;
}
