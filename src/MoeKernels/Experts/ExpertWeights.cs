namespace MoeKernels.Experts;

/// <summary>The matrices of a layer's routed experts, or of its shared expert: copied, or borrowed from the
/// caller.</summary>
/// <remarks>Layouts, row-major: gate and up together [E, 2 I, H] in the order of
/// <see cref="MoeLayerSpec.GateUpOrder"/>, or up alone [E, I, H] when the activation has no gate; down [E, H, I];
/// biases [E, 2 I] or [E, I], and [E, H], always copied. Immutable and thread-safe; disposing it during a forward call
/// takes effect when the call ends.</remarks>
public sealed unsafe class ExpertWeights : IDisposable
{
    private readonly NativeBuffer? _copies;
    private readonly NativeBuffer? _biases;
    private readonly IDisposable? _owner;
    private readonly Lifetime _lifetime;

    private ExpertWeights(ExpertMatrices matrices, NativeBuffer? copies, NativeBuffer? biases, IDisposable? owner)
    {
        (Matrices, _copies, _biases, _owner) = (matrices, copies, biases, owner);
        _lifetime = new Lifetime(this, Free);
    }

    /// <summary>E.</summary>
    public int Experts => Matrices.Experts;

    /// <summary>H.</summary>
    public int Hidden => Matrices.Hidden;

    /// <summary>I.</summary>
    public int Intermediate => Matrices.Intermediate;

    /// <summary>The views that the kernels take; valid while a lease is held.</summary>
    internal ExpertMatrices Matrices { get; }

    /// <summary>Copies fp32 matrices of the routed experts.</summary>
    /// <param name="spec">Sizes, activation and order of the rows.</param>
    /// <param name="gateUp">[E, 2 I, H], or [E, I, H] without a gate.</param>
    /// <param name="down">[E, H, I].</param>
    /// <param name="gateUpBias">[E, 2 I] or [E, I]; empty for none.</param>
    /// <param name="downBias">[E, H]; empty for none. Both biases or neither.</param>
    /// <exception cref="ArgumentException">A length does not fit the sizes.</exception>
    public static ExpertWeights Create(
        MoeLayerSpec spec,
        ReadOnlySpan<float> gateUp,
        ReadOnlySpan<float> down,
        ReadOnlySpan<float> gateUpBias = default,
        ReadOnlySpan<float> downBias = default) =>
        Copy(ExpertLayout.Routed(spec), WeightFormat.F32, gateUp, down, gateUpBias, downBias);

    /// <summary>Copies bf16 matrices of the routed experts, given as their 16-bit patterns; they stay bf16 in
    /// memory.</summary>
    /// <inheritdoc cref="Create(MoeLayerSpec, ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float},
    /// ReadOnlySpan{float})"/>
    public static ExpertWeights Create(
        MoeLayerSpec spec,
        ReadOnlySpan<ushort> gateUp,
        ReadOnlySpan<ushort> down,
        ReadOnlySpan<float> gateUpBias = default,
        ReadOnlySpan<float> downBias = default) =>
        Copy(ExpertLayout.Routed(spec), WeightFormat.BF16, gateUp, down, gateUpBias, downBias);

    /// <summary>Copies fp32 matrices of the shared expert: as the routed ones, with E = 1 and I the shared
    /// width.</summary>
    /// <inheritdoc cref="Create(MoeLayerSpec, ReadOnlySpan{float}, ReadOnlySpan{float}, ReadOnlySpan{float},
    /// ReadOnlySpan{float})"/>
    public static ExpertWeights CreateShared(MoeLayerSpec spec, ReadOnlySpan<float> gateUp, ReadOnlySpan<float> down) =>
        Copy(ExpertLayout.Shared(spec), WeightFormat.F32, gateUp, down, default, default);

    /// <summary>Copies bf16 matrices of the shared expert.</summary>
    /// <inheritdoc cref="CreateShared(MoeLayerSpec, ReadOnlySpan{float}, ReadOnlySpan{float})"/>
    public static ExpertWeights CreateShared(
        MoeLayerSpec spec, ReadOnlySpan<ushort> gateUp, ReadOnlySpan<ushort> down) =>
        Copy(ExpertLayout.Shared(spec), WeightFormat.BF16, gateUp, down, default, default);

    /// <summary>Uses the caller's contiguous matrices where they are.</summary>
    /// <param name="spec">Sizes, activation and order of the rows.</param>
    /// <param name="format">F32, F16 or BF16.</param>
    /// <param name="gateUp">[E, 2 I, H], or [E, I, H] without a gate; stays valid until this object is
    /// disposed.</param>
    /// <param name="down">[E, H, I]; likewise.</param>
    /// <param name="gateUpBias">As in Create.</param>
    /// <param name="downBias">As in Create.</param>
    /// <param name="owner">Disposed when nothing uses the matrices any more; null when the caller looks after
    /// them.</param>
    /// <exception cref="ArgumentException">A length does not fit, or the format needs scales.</exception>
    public static ExpertWeights Borrow(
        MoeLayerSpec spec,
        WeightFormat format,
        void* gateUp,
        void* down,
        ReadOnlySpan<float> gateUpBias = default,
        ReadOnlySpan<float> downBias = default,
        IDisposable? owner = null)
    {
        ArgumentNullException.ThrowIfNull(gateUp);
        ArgumentNullException.ThrowIfNull(down);
        var layout = ExpertLayout.Routed(spec);
        return View(layout, layout.Split(format, gateUp, down), gateUpBias, downBias, null, owner);
    }

    /// <summary>Uses the caller's matrices where they are, one pair per expert, in any stored format.</summary>
    /// <param name="spec">Sizes, activation and order of the rows.</param>
    /// <param name="gateUp">E matrices [2 I × H], or [I × H] without a gate.</param>
    /// <param name="down">E matrices [H × I].</param>
    /// <param name="gateUpBias">As in Create.</param>
    /// <param name="downBias">As in Create.</param>
    /// <param name="owner">Disposed when nothing uses the matrices any more; null when the caller looks after
    /// them.</param>
    /// <exception cref="ArgumentException">A count or shape does not fit.</exception>
    public static ExpertWeights Borrow(
        MoeLayerSpec spec,
        ReadOnlySpan<WeightMatrix> gateUp,
        ReadOnlySpan<WeightMatrix> down,
        ReadOnlySpan<float> gateUpBias = default,
        ReadOnlySpan<float> downBias = default,
        IDisposable? owner = null)
    {
        var layout = ExpertLayout.Routed(spec);
        return View(layout, layout.Pairs(gateUp, down), gateUpBias, downBias, null, owner);
    }

    /// <summary>Frees the copies, now or when the last forward call that uses them ends. May be called again.</summary>
    public void Dispose() => _lifetime.Dispose();

    /// <summary>Keeps the memory for the time of a call.</summary>
    internal Lifetime.Lease Acquire() => _lifetime.Acquire();

    private static ExpertWeights Copy<T>(
        ExpertLayout layout,
        WeightFormat format,
        ReadOnlySpan<T> gateUp,
        ReadOnlySpan<T> down,
        ReadOnlySpan<float> gateUpBias,
        ReadOnlySpan<float> downBias)
        where T : unmanaged
    {
        layout.CheckLengths(gateUp.Length, down.Length);
        var copies = NativeBuffer.Allocate(((long)gateUp.Length + down.Length) * sizeof(T), "expert weights");
        var first = (T*)copies.Pointer;
        gateUp.CopyTo(new Span<T>(first, gateUp.Length));
        down.CopyTo(new Span<T>(first + gateUp.Length, down.Length));
        var pairs = layout.Split(format, first, first + gateUp.Length);
        return View(layout, pairs, gateUpBias, downBias, copies, null);
    }

    private static ExpertWeights View(
        ExpertLayout layout,
        (WeightMatrix GateUp, WeightMatrix Down)[] pairs,
        ReadOnlySpan<float> gateUpBias,
        ReadOnlySpan<float> downBias,
        NativeBuffer? copies,
        IDisposable? owner)
    {
        layout.CheckBiases(gateUpBias.Length, downBias.Length);
        bool hasBias = !downBias.IsEmpty;
        var matrices = new ExpertMatrices(layout.Experts, layout.Activation, hasBias);
        for (int e = 0; e < pairs.Length; e++)
            matrices.SetFused(e, pairs[e].GateUp, layout.Order, pairs[e].Down);
        NativeBuffer? biases = hasBias ? layout.CopyBiases(matrices, gateUpBias, downBias) : null;
        return new ExpertWeights(matrices, copies, biases, owner);
    }

    private void Free()
    {
        Matrices.Dispose();
        _copies?.Dispose();
        _biases?.Dispose();
        _owner?.Dispose();
    }
}
