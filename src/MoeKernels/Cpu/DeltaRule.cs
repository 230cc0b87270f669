using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>One step of the gated delta rule and of the causal convolution before it, in recurrent form.</summary>
internal static unsafe class DeltaRule
{
    private const int Lanes = 16;
    private const int Group = 4 * Lanes;

    /// <summary>
    /// Advances the state matrix S of one head by one position: <c>d = beta (v - g Sᵀk)</c>, <c>S' = g S + k dᵀ</c>,
    /// <c>y = S'ᵀ q</c>.
    /// </summary>
    /// <param name="from">S, [keyDim × columns].</param>
    /// <param name="to">Receives S'; may be <paramref name="from"/>.</param>
    /// <param name="columns">Value dimension, padded to a multiple of 16.</param>
    /// <param name="keyDim">Rows of S.</param>
    /// <param name="q">[keyDim].</param>
    /// <param name="k">[keyDim].</param>
    /// <param name="v">[columns].</param>
    /// <param name="decay">g.</param>
    /// <param name="beta">beta.</param>
    /// <param name="y">Receives the result, [columns].</param>
    /// <remarks>Each column is by itself: sums over the rows are one fused chain ascending in the row.</remarks>
    public static void Step(
        float* from, float* to, int columns, int keyDim, float* q, float* k, float* v, float decay, float beta,
        float* y)
    {
        StepKernel kernel = new()
        {
            From = from,
            To = to,
            Columns = columns,
            KeyDim = keyDim,
            Q = q,
            K = k,
            V = v,
            Decay = decay,
            Beta = beta,
            Y = y,
        };
        Simd.Run(ref kernel);
    }

    /// <summary><c>y[c] = Σj weight[j, c] input[j][c]</c>, one fused chain ascending in j.</summary>
    /// <param name="inputs">The last positions, oldest first, [taps] pointers to [channels].</param>
    /// <param name="taps">Taps of the convolution.</param>
    /// <param name="weight">[taps × channels].</param>
    /// <param name="weightStride">Distance between two taps of <paramref name="weight"/> in elements.</param>
    /// <param name="y">[channels]; must not overlap the inputs.</param>
    /// <param name="channels">Channels to compute.</param>
    public static void Convolve(
        float** inputs, int taps, float* weight, nint weightStride, float* y, int channels)
    {
        ConvolveKernel kernel = new()
        {
            Inputs = inputs,
            Taps = taps,
            Weight = weight,
            WeightStride = weightStride,
            Y = y,
            Channels = channels,
        };
        Simd.Run(ref kernel);
    }

    private struct StepKernel : IVecKernel
    {
        public float* From, To, Q, K, V, Y;
        public int Columns, KeyDim;
        public float Decay, Beta;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int column = 0;
            for (; column <= Columns - Group; column += Group)
                Columns64<T>(column);
            for (; column < Columns; column += Lanes)
                Columns16<T>(column);
        }

        // Four vectors of columns hide the latency of the fused chains, and their part of S stays in the first cache.
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Columns64<T>(int column)
            where T : struct, IVec16<T>
        {
            T m0 = T.Zero, m1 = T.Zero, m2 = T.Zero, m3 = T.Zero;
            float* s = From + column;
            for (int row = 0; row < KeyDim; row++, s += Columns)
            {
                T key = T.Create(K[row]);
                m0 = T.Fma(key, T.Load(s), m0);
                m1 = T.Fma(key, T.Load(s + 16), m1);
                m2 = T.Fma(key, T.Load(s + 32), m2);
                m3 = T.Fma(key, T.Load(s + 48), m3);
            }

            T decay = T.Create(Decay), beta = T.Create(Beta);
            T d0 = beta * (T.Load(V + column) - (decay * m0));
            T d1 = beta * (T.Load(V + column + 16) - (decay * m1));
            T d2 = beta * (T.Load(V + column + 32) - (decay * m2));
            T d3 = beta * (T.Load(V + column + 48) - (decay * m3));
            T y0 = T.Zero, y1 = T.Zero, y2 = T.Zero, y3 = T.Zero;
            s = From + column;
            float* to = To + column;
            for (int row = 0; row < KeyDim; row++, s += Columns, to += Columns)
            {
                T key = T.Create(K[row]), query = T.Create(Q[row]);
                T s0 = T.Fma(key, d0, decay * T.Load(s));
                T s1 = T.Fma(key, d1, decay * T.Load(s + 16));
                T s2 = T.Fma(key, d2, decay * T.Load(s + 32));
                T s3 = T.Fma(key, d3, decay * T.Load(s + 48));
                T.Store(s0, to);
                T.Store(s1, to + 16);
                T.Store(s2, to + 32);
                T.Store(s3, to + 48);
                y0 = T.Fma(query, s0, y0);
                y1 = T.Fma(query, s1, y1);
                y2 = T.Fma(query, s2, y2);
                y3 = T.Fma(query, s3, y3);
            }

            T.Store(y0, Y + column);
            T.Store(y1, Y + column + 16);
            T.Store(y2, Y + column + 32);
            T.Store(y3, Y + column + 48);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Columns16<T>(int column)
            where T : struct, IVec16<T>
        {
            T memory = T.Zero;
            float* s = From + column;
            for (int row = 0; row < KeyDim; row++, s += Columns)
                memory = T.Fma(T.Create(K[row]), T.Load(s), memory);
            T decay = T.Create(Decay);
            T delta = T.Create(Beta) * (T.Load(V + column) - (decay * memory));
            T y = T.Zero;
            s = From + column;
            float* to = To + column;
            for (int row = 0; row < KeyDim; row++, s += Columns, to += Columns)
            {
                T next = T.Fma(T.Create(K[row]), delta, decay * T.Load(s));
                T.Store(next, to);
                y = T.Fma(T.Create(Q[row]), next, y);
            }

            T.Store(y, Y + column);
        }
    }

    private struct ConvolveKernel : IVecKernel
    {
        public float** Inputs;
        public float* Weight, Y;
        public nint WeightStride;
        public int Taps, Channels;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int channel = 0;
            for (; channel <= Channels - Lanes; channel += Lanes)
            {
                T sum = T.Zero;
                for (int tap = 0; tap < Taps; tap++)
                    sum = T.Fma(T.Load(Weight + (tap * WeightStride) + channel), T.Load(Inputs[tap] + channel), sum);
                T.Store(sum, Y + channel);
            }

            if (channel == Channels)
                return;
            int rest = Channels - channel;
            T last = T.Zero;
            for (int tap = 0; tap < Taps; tap++)
            {
                T weight = VecTail.Load<T>(Weight + (tap * WeightStride) + channel, rest);
                last = T.Fma(weight, VecTail.Load<T>(Inputs[tap] + channel, rest), last);
            }

            VecTail.Store(last, Y + channel, rest);
        }
    }
}
