using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;

namespace MoeKernels.Tests.Models.Layers;

public unsafe class SinusoidalPositionsTests
{
    private const int Pad = 1;

    [Theory]
    [InlineData(ElementType.F32, 1e-6)]
    [InlineData(ElementType.F16, 1e-3)]
    [InlineData(ElementType.BF16, 4e-3)]
    public void Add_ToSource_CountsTokensThatAreNotPadding(ElementType type, double tolerance)
    {
        int[] tokens = [Pad, 7, 8, Pad, 9];
        int[] positions = [0, 2, 3, 0, 4];
        foreach (int hidden in new[] { 4, 7, 16 })
        {
            float[] rows = Encoded(type, hidden, tokens);
            for (int t = 0; t < tokens.Length; t++)
            {
                for (int i = 0; i < hidden; i++)
                    Assert.Equal(Expected(positions[t], i, hidden), rows[(t * hidden) + i], tolerance);
            }
        }
    }

    [Fact]
    public void Add_StoredAsBf16_AddsBf16Values()
    {
        float[] rows = Encoded(ElementType.BF16, 16, [5, 6, 7]);
        Assert.All(rows, value => Assert.Equal(0u, BitConverter.SingleToUInt32Bits(value) & 0xFFFF));
        Assert.Contains(rows, value => value != 0);
    }

    [Fact]
    public void Add_DecoderInPieces_EqualsOneCall()
    {
        int[] tokens = [2, 9, Pad, 4, 5, Pad, 6];
        float[] whole = Decoded(tokens, [7]);
        Assert.Equal(whole, Decoded(tokens, [1, 1, 1, 1, 1, 1, 1]));
        Assert.Equal(whole, Decoded(tokens, [3, 4]));
    }

    [Fact]
    public void Add_DecoderAfterRewind_ForgetsWhatFollowed()
    {
        SinusoidalPositions positions = new(new SinusoidalSpec(Pad, ElementType.F32), 8) { StateIndex = 0 };
        using SequenceState state = new([positions.CreateState(16)], 16);
        float[] first = Step(positions, state, [4, Pad, 5]);
        state.Rewind(1);
        Assert.Equal(first[8..], Step(positions, state, [Pad, 5]));
    }

    private static double Expected(int position, int i, int hidden)
    {
        int half = hidden / 2;
        if (position == 0 || i >= 2 * half)
            return 0;
        double angle = position * Math.Pow(10000, -(i % half) / (half - 1.0));
        return i < half ? Math.Sin(angle) : Math.Cos(angle);
    }

    private static float[] Encoded(ElementType type, int hidden, int[] tokens)
    {
        SinusoidalPositions positions = new(new SinusoidalSpec(Pad, type), hidden);
        using SequenceState state = new([], 16);
        return Run(positions, hidden, tokens, batch => batch.AddSource(state, SourceMask.All(tokens.Length)));
    }

    private static float[] Decoded(int[] tokens, int[] pieces)
    {
        SinusoidalPositions positions = new(new SinusoidalSpec(Pad, ElementType.F32), 8) { StateIndex = 0 };
        using SequenceState state = new([positions.CreateState(16)], 16);
        List<float> rows = [];
        foreach (int piece in pieces)
            rows.AddRange(Step(positions, state, tokens[state.Position..(state.Position + piece)]));
        return [.. rows];
    }

    private static float[] Step(SinusoidalPositions positions, SequenceState state, int[] tokens)
    {
        float[] rows = Run(positions, 8, tokens, batch => batch.Add(state, tokens.Length));
        state.Advance(tokens.Length);
        return rows;
    }

    private static float[] Run(SinusoidalPositions positions, int hidden, int[] tokens, Action<ForwardBatch> fill)
    {
        using WorkerPool pool = new(2);
        using Workspace workspace = new(SinusoidalPositions.ScratchFloats(tokens.Length));
        ForwardContext context = new(pool, workspace);
        fill(context.Batch);
        float[] rows = new float[tokens.Length * hidden];
        fixed (float* target = rows)
            positions.Add(context, tokens, target);
        return rows;
    }
}
