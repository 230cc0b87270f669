using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Execution;
using MoeKernels.Permute;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>A mixture-of-experts feed-forward layer, step by step: router, top-k, dispatch, experts in, experts out,
/// combine, shared expert.</summary>
/// <param name="router">How experts are chosen.</param>
/// <param name="weights">The layer's weights.</param>
/// <param name="module">Module path of the router, for traces and errors.</param>
/// <param name="form">What a trace records of the router.</param>
internal sealed unsafe class RoutedLayer(
    RouterSpec router,
    RoutedLayerWeights weights,
    string module,
    RouterTraceForm form = RouterTraceForm.WeightsAndIds) : Layer
{
    private readonly RoutedLayerWeights _weights = weights.Checked(router, module);

    /// <summary>How experts are chosen.</summary>
    public RouterSpec Router => router;

    /// <summary>Module path of the router.</summary>
    public string Module => module;

    /// <summary>The layer's weights.</summary>
    public RoutedLayerWeights Weights => _weights;

    private int Hidden => _weights.Experts.Hidden;

    /// <summary>Most floats that a call takes from the workspace at a time.</summary>
    /// <param name="router">How experts are chosen.</param>
    /// <param name="hidden">H.</param>
    /// <param name="intermediate">I.</param>
    /// <param name="sharedIntermediate">Width of the shared expert, 0 for none.</param>
    /// <param name="rows">Tokens of the call.</param>
    /// <param name="threads">Workers of the pool.</param>
    public static long ScratchFloats(
        RouterSpec router, int hidden, int intermediate, int sharedIntermediate, int rows, int threads)
    {
        long choices = (long)rows * router.TopK;
        long starts = router.Capacity.Kind == CapacityKind.PerSequence ? Workspace.Rounded(rows) : 0;
        long choosing = Workspace.Rounded((long)rows * router.Experts)
            + RouterWork.ScratchFloats(router, rows, threads) + starts;
        long routed = Workspace.Rounded(DispatchPlan.Size(rows, router.TopK, router.Experts))
            + Workspace.Rounded(choices * hidden) + Workspace.Rounded(choices * intermediate);
        long shared = sharedIntermediate == 0
            ? 0
            : Workspace.Rounded((long)rows * sharedIntermediate) + Workspace.Rounded((long)rows * hidden)
                + Workspace.Rounded(rows);
        return (2 * Workspace.Rounded(choices)) + Math.Max(choosing, Math.Max(routed, shared));
    }

    /// <inheritdoc/>
    public override void Forward(ForwardContext context, float* x, float* y)
    {
        long mark = context.Workspace.Mark();
        try
        {
            Forward(Call(context), x, x, y);
        }
        finally
        {
            context.Workspace.Release(mark);
        }
    }

    /// <summary>Steps 1 and 2 for the rows of a batch.</summary>
    /// <inheritdoc cref="Route(in RoutedCall, float*, int*, float*)"/>
    public void Route(ForwardContext context, float* routerInput, int* topkIds, float* topkWeights)
    {
        long mark = context.Workspace.Mark();
        try
        {
            Route(Call(context), routerInput, topkIds, topkWeights);
        }
        finally
        {
            context.Workspace.Release(mark);
        }
    }

    /// <summary>Runs the whole layer.</summary>
    /// <param name="call">Threads, scratch memory and the batch.</param>
    /// <param name="routerInput">What the router sees, [T, router inputs]; usually <paramref name="x"/>.</param>
    /// <param name="x">What the experts see, [T, hidden].</param>
    /// <param name="y">Receives [T, hidden]; must not overlap the inputs.</param>
    /// <exception cref="MoeNonFiniteException">A router logit is NaN or infinite; the call has no effect but on
    /// y.</exception>
    public void Forward(in RoutedCall call, float* routerInput, float* x, float* y)
    {
        long mark = call.Workspace.Mark();
        try
        {
            int choices = checked(call.Tokens * router.TopK);
            int* topkIds = (int*)call.Workspace.Take(choices);
            float* topkWeights = call.Workspace.Take(choices);
            Route(call, routerInput, topkIds, topkWeights);
            Forward(call, x, topkIds, topkWeights, y);
        }
        finally
        {
            call.Workspace.Release(mark);
        }
    }

    /// <summary>Steps 1 and 2: logits, then ids and weights.</summary>
    /// <param name="call">Threads, scratch memory and the batch.</param>
    /// <param name="routerInput">[T, router inputs].</param>
    /// <param name="topkIds">Receives [T, k]; -1 for a dropped choice.</param>
    /// <param name="topkWeights">Receives [T, k], without <see cref="RouterSpec.OutputFactor"/>.</param>
    /// <exception cref="MoeNonFiniteException">A logit is NaN or infinite.</exception>
    public void Route(in RoutedCall call, float* routerInput, int* topkIds, float* topkWeights)
    {
        long mark = call.Workspace.Mark();
        float* logits = call.Workspace.Take((long)call.Tokens * router.Experts);
        int inputs = _weights.Router.Columns;
        Linear.Forward(
            call.Pool, _weights.Router, _weights.RouterBias, routerInput, inputs, call.Tokens, logits, router.Experts);
        fixed (int* starts = call.SequenceStarts, mask = call.Mask)
        {
            var input = new RouterInput
            {
                Logits = logits,
                Tokens = call.Tokens,
                ChoiceBias = _weights.ChoiceBias,
                ExpertScale = _weights.ExpertScale,
                SequenceStarts = starts,
                Sequences = call.SequenceStarts.Length,
                Mask = mask,
            };
            RouterWork.Select(call.Pool, call.Workspace, router, input, topkIds, topkWeights, module);
        }

        if (call.Trace is { } trace)
        {
            RouterTrace.Record(
                trace, module, form, router, call.Tokens, routerInput, inputs, logits, topkIds, topkWeights);
        }

        call.Workspace.Release(mark);
    }

    /// <summary>Steps 3 to 7 with a routing that is decided.</summary>
    /// <param name="call">Threads, scratch memory and the batch.</param>
    /// <param name="x">[T, hidden].</param>
    /// <param name="topkIds">[T, k], each -1 or below E.</param>
    /// <param name="topkWeights">[T, k]; <see cref="RouterSpec.OutputFactor"/> is multiplied into them in
    /// place.</param>
    /// <param name="y">Receives [T, hidden].</param>
    public void Forward(in RoutedCall call, float* x, int* topkIds, float* topkWeights, float* y)
    {
        ForwardRouted(call, x, topkIds, topkWeights, y);
        if (_weights.Shared is not null)
            AddShared(call, x, y);
    }

    private void ForwardRouted(in RoutedCall call, float* x, int* topkIds, float* topkWeights, float* y)
    {
        var experts = _weights.Experts;
        long mark = call.Workspace.Mark();
        int* memory = (int*)call.Workspace.Take(DispatchPlan.Size(call.Tokens, router.TopK, router.Experts));
        var plan = DispatchPlan.Build(memory, topkIds, call.Tokens, router.TopK, router.Experts);
        float* slots = call.Workspace.Take((long)plan.Slots * Hidden);
        float* inner = call.Workspace.Take((long)plan.Slots * experts.Intermediate);
        if (router.ApplyToInput || !IsLookedUp(experts, plan))
        {
            PermuteWork.Dispatch(call.Pool, plan, x, Hidden, router.ApplyToInput ? topkWeights : null, slots);
            GroupedGemm.GateUp(
                call.Pool, experts.Activation, experts.Gate, experts.Up, experts.GateBias, experts.UpBias,
                router.Experts, plan.ExpertOffsets, slots, Hidden, inner, experts.Intermediate);
        }
        else
        {
            // Codebook kernels read a token once for all of its experts.
            ExpertSlots inputs = new(router.Experts, plan.ExpertOffsets, x, Hidden, call.Tokens, plan.TokenOfSlot);
            CodebookExperts.GateUp(
                call.Pool, experts.Activation, experts.Gate, experts.Up, experts.GateBias, experts.UpBias, inputs,
                inner, experts.Intermediate);
        }

        // The experts' inputs are spent: their outputs take the same memory.
        GroupedGemm.Down(
            call.Pool, experts.Down, experts.DownBias, router.Experts, plan.ExpertOffsets, inner, experts.Intermediate,
            slots, Hidden);
        if (router.OutputFactor != 1f)
            Vec.Scale(topkWeights, router.OutputFactor, topkWeights, call.Tokens * router.TopK);
        float* dropped = router.Capacity.Drop == DropRule.ScaledInput ? x : null;
        PermuteWork.Combine(
            call.Pool, plan, slots, Hidden, router.ApplyToInput ? null : topkWeights, dropped, y);
        call.Workspace.Release(mark);
    }

    private static bool IsLookedUp(ExpertMatrices experts, in DispatchPlan plan) =>
        CodebookExperts.Covers(experts.Gate, plan.Experts, plan.ExpertOffsets)
        && CodebookExperts.Covers(experts.Up, plan.Experts, plan.ExpertOffsets);

    private void AddShared(in RoutedCall call, float* x, float* y)
    {
        var shared = _weights.Shared!;
        long mark = call.Workspace.Mark();
        int* offsets = stackalloc int[] { 0, call.Tokens };
        float* inner = call.Workspace.Take((long)call.Tokens * shared.Intermediate);
        float* output = call.Workspace.Take((long)call.Tokens * Hidden);
        float* gates = _weights.HasSharedGate ? call.Workspace.Take(call.Tokens) : null;
        GroupedGemm.GateUp(
            call.Pool, shared.Activation, shared.Gate, shared.Up, shared.GateBias, shared.UpBias, 1, offsets, x, Hidden,
            inner, shared.Intermediate);
        GroupedGemm.Down(
            call.Pool, shared.Down, shared.DownBias, 1, offsets, inner, shared.Intermediate, output, Hidden);
        if (gates != null)
        {
            Linear.Forward(call.Pool, _weights.SharedGate, _weights.SharedGateBias, x, Hidden, call.Tokens, gates, 1);
            Activations.Sigmoid(gates, gates, call.Tokens);
        }

        PermuteWork.Add(call.Pool, output, gates, call.Tokens, Hidden, y);
        call.Workspace.Release(mark);
    }

    private RoutedCall Call(ForwardContext context) => new()
    {
        Pool = context.Pool,
        Workspace = context.Workspace,
        Tokens = context.Batch.Rows,
        SequenceStarts = SequenceStarts(context),
        Mask = context.Batch.Mask,
        Trace = context.Trace is { WantsRouter: true } ? context.Trace : null,
    };

    private ReadOnlySpan<int> SequenceStarts(ForwardContext context)
    {
        var sequences = context.Batch.Sequences;
        if (router.Capacity.Kind != CapacityKind.PerSequence)
            return default;

        int* starts = (int*)context.Workspace.Take(sequences.Length);
        for (int i = 0; i < sequences.Length; i++)
            starts[i] = sequences[i].FirstRow;
        return new ReadOnlySpan<int>(starts, sequences.Length);
    }
}
