using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>Elementwise non-linear functions; the same bits at every SIMD level. Destinations may be the
/// sources.</summary>
internal static unsafe class Activations
{
    /// <summary><c>y[i] = f(x[i])</c> for the ungated kinds.</summary>
    /// <exception cref="MoeUnsupportedException">The kind exists only with a gate.</exception>
    public static void Apply(ActivationKind kind, float* x, float* y, int count)
    {
        switch (kind)
        {
            case ActivationKind.Silu:
                Elementwise.Map(default(SiluMap), x, y, count);
                break;
            case ActivationKind.Relu:
                Elementwise.Map(default(ReluMap), x, y, count);
                break;
            case ActivationKind.Gelu:
                Elementwise.Map(default(GeluMap), x, y, count);
                break;
            case ActivationKind.GeluTanh:
                Elementwise.Map(default(GeluTanhMap), x, y, count);
                break;
            default:
                throw new MoeUnsupportedException($"activation {kind} without a gate");
        }
    }

    /// <summary><c>y[i] = f(gate[i]) * up[i]</c>, with the clamps of
    /// <see cref="ActivationKind.ClampedSwiGlu"/>.</summary>
    /// <exception cref="MoeUnsupportedException">The kind is unknown.</exception>
    public static void ApplyGated(in Activation activation, float* gate, float* up, float* y, int count)
    {
        switch (activation.Kind)
        {
            case ActivationKind.Silu:
                Elementwise.Map(default(Gated<SiluMap>), gate, up, y, count);
                break;
            case ActivationKind.Relu:
                Elementwise.Map(default(Gated<ReluMap>), gate, up, y, count);
                break;
            case ActivationKind.Gelu:
                Elementwise.Map(default(Gated<GeluMap>), gate, up, y, count);
                break;
            case ActivationKind.GeluTanh:
                Elementwise.Map(default(Gated<GeluTanhMap>), gate, up, y, count);
                break;
            case ActivationKind.ClampedSwiGlu:
                Elementwise.Map(new ClampedSwiGluMap(activation.Alpha, activation.Limit), gate, up, y, count);
                break;
            default:
                throw new MoeUnsupportedException($"activation {activation.Kind}");
        }
    }

    /// <summary><c>y[i] = exp(x[i])</c>.</summary>
    public static void Exp(float* x, float* y, int count) => Elementwise.Map(default(ExpMap), x, y, count);

    /// <summary><c>y[i] = 1 / (1 + exp(-x[i]))</c>.</summary>
    public static void Sigmoid(float* x, float* y, int count) => Elementwise.Map(default(SigmoidMap), x, y, count);

    /// <summary><c>y[i] = tanh(x[i])</c>.</summary>
    public static void Tanh(float* x, float* y, int count) => Elementwise.Map(default(TanhMap), x, y, count);

    /// <summary><c>y[i] = log(1 + exp(x[i]))</c>.</summary>
    public static void Softplus(float* x, float* y, int count) => Elementwise.Map(default(SoftplusMap), x, y, count);

    private readonly struct ExpMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Exp(x);
    }

    private readonly struct SigmoidMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Sigmoid(x);
    }

    private readonly struct TanhMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Tanh(x);
    }

    private readonly struct SoftplusMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Softplus(x);
    }

    private readonly struct SiluMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Silu(x);
    }

    private readonly struct ReluMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Max(x, T.Zero);
    }

    private readonly struct GeluMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.Gelu(x);
    }

    private readonly struct GeluTanhMap : IMap1
    {
        public T Invoke<T>(T x)
            where T : struct, IVec16<T> => VecMath.GeluTanh(x);
    }

    private readonly struct Gated<TMap> : IMap2
        where TMap : struct, IMap1
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T> => default(TMap).Invoke(a) * b;
    }

    private readonly struct ClampedSwiGluMap(float alpha, float limit) : IMap2
    {
        public T Invoke<T>(T a, T b)
            where T : struct, IVec16<T>
        {
            T high = T.Create(limit);
            T gate = VecMath.Min(a, high);
            T up = VecMath.Max(VecMath.Min(b, high), T.Create(-limit));
            T silu = gate / (T.Create(1f) + VecMath.Exp(gate * T.Create(-alpha)));
            return (up + T.Create(1f)) * silu;
        }
    }
}
