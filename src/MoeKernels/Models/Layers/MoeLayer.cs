using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Execution;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>One mixture-of-experts layer by itself: bring your own attention, norms and residual stream.</summary>
/// <remarks>
/// Immutable and thread-safe; every thread brings its own <see cref="MoeWorkspace"/>. A warm call allocates nothing.
/// A row's bits depend on the row and the weights only: not on its batch, the thread count or the instruction set.
/// Routers with a capacity are the exception, since there a token can lose its place to another one.
/// </remarks>
public sealed unsafe class MoeLayer : IDisposable
{
    private readonly RoutedLayer _layer;
    private readonly ExpertWeights? _experts;
    private readonly ExpertWeights? _shared;
    private readonly Lifetime _lifetime;

    /// <summary>Builds the layer. The router's vectors are copied; the experts are used where they are and stay the
    /// caller's to dispose.</summary>
    /// <param name="spec">Sizes and rules.</param>
    /// <param name="experts">The routed experts.</param>
    /// <param name="routerWeight">[E, hidden], row-major.</param>
    /// <param name="routerBias">[E] when <see cref="RouterSpec.HasBias"/>, else empty.</param>
    /// <param name="shared">The shared expert when <see cref="MoeLayerSpec.SharedIntermediate"/> is not 0, else
    /// null.</param>
    /// <param name="sharedGate">[hidden] when <see cref="MoeLayerSpec.HasSharedGate"/>, else empty.</param>
    /// <param name="choiceBias">[E] when <see cref="RouterSpec.HasChoiceBias"/>, else empty.</param>
    /// <param name="expertScale">[E] when <see cref="RouterSpec.HasExpertScale"/> (empty means ones), else
    /// empty.</param>
    /// <exception cref="ArgumentException">A size does not fit the specification, or a bias or scale is not
    /// finite.</exception>
    public MoeLayer(
        MoeLayerSpec spec,
        ExpertWeights experts,
        ReadOnlySpan<float> routerWeight,
        ReadOnlySpan<float> routerBias = default,
        ExpertWeights? shared = null,
        ReadOnlySpan<float> sharedGate = default,
        ReadOnlySpan<float> choiceBias = default,
        ReadOnlySpan<float> expertScale = default)
    {
        ArgumentNullException.ThrowIfNull(spec);
        ArgumentNullException.ThrowIfNull(experts);
        spec.Validate();
        LayerArguments.CheckExperts(spec, experts, shared);
        var vectors = new RouterVectors(
            spec.Router, spec.Hidden, routerWeight, routerBias, choiceBias, expertScale,
            spec.HasSharedGate ? spec.Hidden : 0, sharedGate);
        (Spec, _experts, _shared) = (spec, experts, shared);
        _layer = new RoutedLayer(spec.Router, vectors.Weights(experts.Matrices, shared?.Matrices), "router");
        _lifetime = new Lifetime(this, vectors.Dispose);
    }

    /// <summary>Sizes and rules.</summary>
    public MoeLayerSpec Spec { get; }

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

    /// <summary>Routes the tokens and runs their experts.</summary>
    /// <param name="hidden">[tokens, hidden], row-major.</param>
    /// <param name="output">Receives [tokens, hidden]; must not overlap <paramref name="hidden"/>. The residual is not
    /// added.</param>
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
        using var experts = _experts!.Acquire();
        using var shared = (_shared ?? _experts).Acquire();
        using var use = workspace.Enter(ScratchFloats(tokens, workspace.Threads));
        fixed (float* x = hidden)
        fixed (float* y = output)
            _layer.Forward(Call(use, tokens), x, x, y);
    }

    /// <summary>Runs the experts that the caller chose.</summary>
    /// <param name="hidden">[tokens, hidden], row-major.</param>
    /// <param name="routing">Ids and weights, [tokens, k].</param>
    /// <param name="output">Receives [tokens, hidden]; must not overlap <paramref name="hidden"/>.</param>
    /// <param name="tokens">T, 0 allowed.</param>
    /// <param name="workspace">Threads and scratch memory.</param>
    /// <exception cref="ArgumentException">A length does not fit, an id is out of range, or the spans
    /// overlap.</exception>
    /// <exception cref="ObjectDisposedException">The layer, its experts or the workspace were disposed.</exception>
    public void Forward(
        ReadOnlySpan<float> hidden, Routing routing, Span<float> output, int tokens, MoeWorkspace workspace)
    {
        LayerArguments.CheckRows(hidden, output, tokens, Spec.Hidden, Spec.Hidden);
        LayerArguments.CheckRouting(routing, tokens, Spec.Router);
        ArgumentNullException.ThrowIfNull(workspace);
        using var lease = _lifetime.Acquire();
        using var experts = _experts!.Acquire();
        using var shared = (_shared ?? _experts).Acquire();
        using var use = workspace.Enter(ScratchFloats(tokens, workspace.Threads));

        // The layer multiplies the output factor into the weights, so it gets its own copy of them.
        int choices = tokens * Spec.Router.TopK;
        float* weights = use.Memory.Take(choices);
        routing.Weights[..choices].CopyTo(new Span<float>(weights, choices));
        fixed (float* x = hidden)
        fixed (float* y = output)
        fixed (int* ids = routing.ExpertIds)
            _layer.Forward(Call(use, tokens), x, ids, weights, y);
    }

    /// <summary>Routes only.</summary>
    /// <param name="hidden">[tokens, hidden], row-major.</param>
    /// <param name="expertIds">Receives [tokens, k], best first; -1 for a choice that a capacity dropped.</param>
    /// <param name="weights">Receives [tokens, k], every scale but <see cref="RouterSpec.OutputFactor"/>
    /// included.</param>
    /// <param name="tokens">T, 0 allowed.</param>
    /// <param name="workspace">Threads and scratch memory.</param>
    /// <exception cref="ArgumentException">A length does not fit.</exception>
    /// <exception cref="MoeNonFiniteException">A router logit is NaN or infinite.</exception>
    /// <exception cref="ObjectDisposedException">The layer or the workspace was disposed.</exception>
    public void Route(
        ReadOnlySpan<float> hidden, Span<int> expertIds, Span<float> weights, int tokens, MoeWorkspace workspace)
    {
        LayerArguments.CheckRows(hidden, tokens, Spec.Hidden, nameof(hidden));
        LayerArguments.CheckRows<int>(expertIds, tokens, Spec.Router.TopK, nameof(expertIds));
        LayerArguments.CheckRows<float>(weights, tokens, Spec.Router.TopK, nameof(weights));
        ArgumentNullException.ThrowIfNull(workspace);
        using var lease = _lifetime.Acquire();
        using var use = workspace.Enter(ScratchFloats(tokens, workspace.Threads));
        fixed (float* x = hidden)
        fixed (int* ids = expertIds)
        fixed (float* chosen = weights)
            _layer.Route(Call(use, tokens), x, ids, chosen);
    }

    /// <summary>Frees the router's copies, now or when the last call ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();

    private static RoutedCall Call(in MoeWorkspace.Use use, int tokens) =>
        new() { Pool = use.Pool, Workspace = use.Memory, Tokens = tokens };

    private long ScratchFloats(int tokens, int threads) => RoutedLayer.ScratchFloats(
        Spec.Router, Spec.Hidden, Spec.Intermediate, Spec.SharedIntermediate, tokens, threads);
}
