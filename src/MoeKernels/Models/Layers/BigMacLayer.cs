using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Execution;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>BigMac's layer (arXiv 2502.16927): one matrix brings the token down to r h, the experts work there, and one
/// matrix brings their weighted sum up again; the router sees the full width:
/// <c>y = W_ascend Σ p_i(x) E_i(W_descend x)</c>.</summary>
/// <remarks>Immutable and thread-safe; the promises of <see cref="MoeLayer"/> about bits and allocation hold.</remarks>
public sealed unsafe class BigMacLayer : IDisposable
{
    private readonly RoutedLayer _layer;
    private readonly ExpertWeights _experts;
    private readonly NativeBuffer _projections;
    private readonly Lifetime _lifetime;

    /// <summary>Builds the layer. All but the experts is copied; those stay the caller's to dispose.</summary>
    /// <param name="spec">Sizes and rules.</param>
    /// <param name="experts">The experts, made for <see cref="BigMacLayerSpec.Experts"/>.</param>
    /// <param name="routerWeight">[E, hidden].</param>
    /// <param name="descend">[low rank, hidden].</param>
    /// <param name="ascend">[hidden, low rank].</param>
    /// <param name="routerBias">[E] when <see cref="RouterSpec.HasBias"/>, else empty.</param>
    /// <exception cref="ArgumentException">A size does not fit the specification.</exception>
    public BigMacLayer(
        BigMacLayerSpec spec,
        ExpertWeights experts,
        ReadOnlySpan<float> routerWeight,
        ReadOnlySpan<float> descend,
        ReadOnlySpan<float> ascend,
        ReadOnlySpan<float> routerBias = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(experts);
        spec.Experts.Validate();
        LayerArguments.CheckExperts(spec.Experts, experts, null);
        long elements = (long)spec.LowRank * spec.Hidden;
        if (descend.Length != elements || ascend.Length != elements)
            throw new ArgumentException($"Layer: descend and ascend must have {elements} elements.");

        var vectors = new RouterVectors(
            spec.Router, spec.Hidden, routerWeight, routerBias, default, default, 0, default);
        _projections = NativeBuffer.Allocate(2 * elements * sizeof(float), "the projections of a layer");
        descend.CopyTo(_projections.AsSpan<float>());
        ascend.CopyTo(_projections.AsSpan<float>()[descend.Length..]);
        (Spec, _experts) = (spec, experts);
        _layer = new RoutedLayer(spec.Router, vectors.Weights(experts.Matrices, null), "router");
        _lifetime = new Lifetime(this, () =>
        {
            vectors.Dispose();
            _projections.Dispose();
        });
    }

    /// <summary>Sizes and rules.</summary>
    public BigMacLayerSpec Spec { get; }

    private WeightMatrix Descend =>
        new(WeightFormat.F32, _projections.Pointer, Spec.LowRank, Spec.Hidden, (nint)Spec.Hidden * sizeof(float));

    private WeightMatrix Ascend => new(
        WeightFormat.F32, (float*)_projections.Pointer + ((nint)Spec.LowRank * Spec.Hidden), Spec.Hidden, Spec.LowRank,
        (nint)Spec.LowRank * sizeof(float));

    /// <summary>Bytes of workspace that a call with up to <paramref name="maxTokens"/> tokens takes.</summary>
    /// <param name="maxTokens">Most tokens of a call.</param>
    /// <param name="threads">Threads of the workspace, 0 for all processors, as given to it.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative.</exception>
    public long GetWorkspaceSize(int maxTokens, int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxTokens);
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        return sizeof(float) * ScratchFloats(maxTokens, threads == 0 ? WorkerPool.DefaultThreads : threads);
    }

    /// <summary>Runs the layer.</summary>
    /// <param name="hidden">[tokens, hidden], row-major.</param>
    /// <param name="output">Receives [tokens, hidden]; must not overlap <paramref name="hidden"/>.</param>
    /// <param name="tokens">T, 0 allowed.</param>
    /// <param name="workspace">Threads and scratch memory.</param>
    /// <exception cref="ArgumentException">A length does not fit, or the spans overlap.</exception>
    /// <exception cref="MoeNonFiniteException">A router logit is NaN or infinite.</exception>
    /// <exception cref="ObjectDisposedException">The layer, its experts or the workspace were disposed.</exception>
    public void Forward(ReadOnlySpan<float> hidden, Span<float> output, int tokens, MoeWorkspace workspace)
    {
        LayerArguments.CheckRows(hidden, output, tokens, Spec.Hidden, Spec.Hidden);
        ArgumentNullException.ThrowIfNull(workspace);
        using var lease = _lifetime.Acquire();
        using var experts = _experts.Acquire();
        using var use = workspace.Enter(ScratchFloats(tokens, workspace.Threads));
        float* low = use.Memory.Take((long)tokens * Spec.LowRank);
        float* combined = use.Memory.Take((long)tokens * Spec.LowRank);
        var call = new RoutedCall { Pool = use.Pool, Workspace = use.Memory, Tokens = tokens };
        fixed (float* x = hidden)
        fixed (float* y = output)
        {
            Linear.Forward(use.Pool, Descend, null, x, Spec.Hidden, tokens, low, Spec.LowRank);
            _layer.Forward(call, x, low, combined);
            Linear.Forward(use.Pool, Ascend, null, combined, Spec.LowRank, tokens, y, Spec.Hidden);
        }
    }

    /// <summary>Frees the copies, now or when the last call ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();

    private long ScratchFloats(int tokens, int threads) =>
        RoutedLayer.ScratchFloats(Spec.Router, Spec.LowRank, Spec.Intermediate, 0, tokens, threads)
        + (2 * Workspace.Rounded((long)tokens * Spec.LowRank));
}
