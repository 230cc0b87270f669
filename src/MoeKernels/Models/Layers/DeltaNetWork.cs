using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Models.Layers;

/// <summary>Turns projected betas and decays into factors, <c>σ(b)</c> and <c>exp(-exp(A_log) softplus(a + dt))</c>;
/// one item a row.</summary>
internal unsafe struct DeltaGateWork : IWork
{
    /// <summary>[rows × key heads × (betas, decays)].</summary>
    public float* BetaDecay;

    /// <summary>[value heads].</summary>
    public float* DtBias, Rate;

    /// <summary>[rows × value heads].</summary>
    public float* Beta, Decay;

    public int KeyHeads, HeadsPerKey;

    /// <inheritdoc/>
    public readonly void Execute(int begin, int end, int worker)
    {
        int heads = KeyHeads * HeadsPerKey;
        for (nint row = begin; row < end; row++)
        {
            float* source = BetaDecay + (row * 2 * heads);
            float* beta = Beta + (row * heads);
            float* decay = Decay + (row * heads);
            for (int head = 0; head < heads; head++)
            {
                float* part = source + (head / HeadsPerKey * 2 * HeadsPerKey) + (head % HeadsPerKey);
                beta[head] = part[0];
                decay[head] = part[HeadsPerKey];
            }

            Activations.Sigmoid(beta, beta, heads);
            Vec.Add(decay, DtBias, decay, heads);
            Activations.Softplus(decay, decay, heads);
            Vec.Multiply(decay, Rate, decay, heads);
            Activations.Exp(decay, decay, heads);
        }
    }
}

/// <summary>Convolution, delta rule and gated norm of all rows of one sequence; one item a value head.</summary>
/// <remarks>Value heads that share a key head each convolve its query and key again: that is a fraction of the rule's
/// work, and keeps the items independent.</remarks>
internal unsafe struct DeltaHeadWork : IWork
{
    private const float NormEpsilon = 1e-6f;

    public DeltaNetShape Shape;

    public ConvolutionWindow Window;

    public int Rows;

    /// <summary>State matrices before and after the call.</summary>
    public float* From, To;

    /// <summary>[rows × value heads].</summary>
    public float* Beta, Decay;

    /// <summary>[taps × channels].</summary>
    public float* Convolution;

    /// <summary>[value dim].</summary>
    public float* Norm;

    /// <summary>Receives the result, [rows × value heads × value dim].</summary>
    public float* Values;

    /// <summary>[threads × <see cref="ScratchFloats"/>].</summary>
    public float* Scratch;

    public long ScratchFloats;

    /// <inheritdoc/>
    public readonly void Execute(int begin, int end, int worker)
    {
        float* query = Scratch + (worker * ScratchFloats);
        float* key = query + Shape.KeyDim;
        float* value = key + Shape.KeyDim;
        float* result = value + Shape.PaddedValueDim;
        new Span<float>(value, Shape.PaddedValueDim).Clear();
        for (int head = begin; head < end; head++)
            Head(head, query, key, value, result);
    }

    private readonly void Head(int head, float* query, float* key, float* value, float* result)
    {
        float** inputs = stackalloc float*[Shape.Taps];
        int keyHead = head / Shape.HeadsPerKey;
        int queryOffset = Shape.QueryOffset(keyHead);
        int channel = keyHead * Shape.KeyDim;
        int valueChannel = Shape.ValueChannels + (head * Shape.ValueDim);
        float* from = From + ((nint)head * Shape.KeyDim * Shape.PaddedValueDim);
        float* to = To + ((nint)head * Shape.KeyDim * Shape.PaddedValueDim);
        for (int row = 0; row < Rows; row++)
        {
            Convolve(row, queryOffset, channel, query, Shape.KeyDim, inputs);
            Convolve(row, queryOffset + Shape.KeyDim, Shape.KeyChannels + channel, key, Shape.KeyDim, inputs);
            Convolve(row, Shape.ValueOffset(head), valueChannel, value, Shape.ValueDim, inputs);
            Normalize(query, 1 / MathF.Sqrt(Shape.KeyDim));
            Normalize(key, 1);
            nint gate = ((nint)row * Shape.ValueHeads) + head;
            DeltaRule.Step(
                from, to, Shape.PaddedValueDim, Shape.KeyDim, query, key, value, Decay[gate], Beta[gate], result);
            from = to;
            Gate(result, Window.Row(row) + Shape.GateOffset(head), Values + (gate * Shape.ValueDim));
        }
    }

    private readonly void Convolve(int row, int offset, int channel, float* y, int channels, float** inputs)
    {
        Window.Point(row, offset, channel, inputs);
        DeltaRule.Convolve(inputs, Shape.Taps, Convolution + channel, Shape.Channels, y, channels);
        Activations.Apply(Shape.Activation, y, y, channels);
    }

    /// <summary>Divides a head by its length.</summary>
    private readonly void Normalize(float* head, float scale)
    {
        float square = Vec.Dot(head, head, Shape.KeyDim);
        Vec.Scale(head, scale / MathF.Sqrt(square + NormEpsilon), head, Shape.KeyDim);
    }

    /// <summary><c>y = rms(x) w silu(gate)</c>.</summary>
    private readonly void Gate(float* x, float* gate, float* y)
    {
        int n = Shape.ValueDim;
        float square = Vec.Dot(x, x, n);
        Vec.Scale(x, 1 / MathF.Sqrt((square / n) + Shape.Epsilon), x, n);
        Vec.Multiply(x, Norm, x, n);
        Activations.ApplyGated(Activation.SiluGated, gate, x, y, n);
    }
}
