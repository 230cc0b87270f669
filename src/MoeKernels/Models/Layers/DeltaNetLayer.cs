using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>Gated delta net: linear attention whose memory is a matrix per value head, read and corrected at every
/// position.</summary>
/// <remarks>Prefill takes position after position as decode does, heads in parallel: the chunked form of the rule sums
/// in another order and would give other bits.</remarks>
internal sealed unsafe class DeltaNetLayer(DeltaNetSpec spec, DeltaNetWeights weights) : Layer
{
    /// <inheritdoc/>
    public override LayerState CreateState(int contextLength) => new RecurrentState(spec);

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        int rows = context.Batch.Rows;
        WorkerPool pool = context.Pool;
        Workspace workspace = context.Workspace;
        long mark = workspace.Mark();
        float* mixed = workspace.Take((long)rows * weights.QueryKeyValueGate.Outputs);
        float* betaDecay = workspace.Take((long)rows * weights.BetaDecay.Outputs);
        float* beta = workspace.Take((long)rows * spec.ValueHeads);
        float* decay = workspace.Take((long)rows * spec.ValueHeads);
        float* values = workspace.Take((long)rows * spec.ValueHeads * spec.ValueDim);
        float* scratch = workspace.Take(pool.Threads * spec.WorkerFloats);

        LinearPart* parts = stackalloc LinearPart[]
        {
            weights.QueryKeyValueGate.Part(mixed), weights.BetaDecay.Part(betaDecay),
        };
        Linear.Forward(pool, parts, 2, x, weights.BetaDecay.Inputs, rows);
        DeltaGateWork gates = new()
        {
            BetaDecay = betaDecay,
            DtBias = weights.DtBias,
            Rate = weights.Rate,
            Beta = beta,
            Decay = decay,
            KeyHeads = spec.KeyHeads,
            HeadsPerKey = spec.HeadsPerKey,
        };
        pool.Run(ref gates, rows);

        DeltaNetShape shape = new(spec);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            var state = (RecurrentState)sequence.State[StateIndex];
            (RecurrentMemory from, RecurrentMemory to) = state.Begin(sequence.Position, sequence.Rows);
            nint heads = (nint)sequence.FirstRow * spec.ValueHeads;
            DeltaHeadWork work = new()
            {
                Shape = shape,
                Window = new ConvolutionWindow(
                    shape, from.Convolution, mixed + ((nint)sequence.FirstRow * shape.MixedWidth)),
                Rows = sequence.Rows,
                From = from.Matrices,
                To = to.Matrices,
                Beta = beta + heads,
                Decay = decay + heads,
                Convolution = weights.Convolution,
                Norm = weights.Norm,
                Values = values + (heads * spec.ValueDim),
                Scratch = scratch,
                ScratchFloats = spec.WorkerFloats,
            };
            pool.Run(ref work, spec.ValueHeads, maxGrain: 1);
            work.Window.Save(sequence.Rows, to.Convolution);
        }

        weights.Output.Forward(pool, values, rows, y);
        workspace.Release(mark);
    }
}
