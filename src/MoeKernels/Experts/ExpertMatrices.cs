namespace MoeKernels.Experts;

/// <summary>The matrices of a layer's experts as native arrays of views, the form the kernels take. It may own
/// the arrays, never the weights that the views show.</summary>
/// <remarks>A dense or shared network is the same thing with one expert.</remarks>
internal sealed unsafe class ExpertMatrices : IDisposable
{
    private readonly NativeBuffer? _arrays;

    /// <summary>Makes room for the views of <paramref name="experts"/> experts; all of them must be set before
    /// use.</summary>
    /// <param name="experts">E.</param>
    /// <param name="activation">The network's non-linearity; says whether there are gates.</param>
    /// <param name="hasBias">Whether the experts have biases, all of them or none.</param>
    public ExpertMatrices(int experts, Activation activation, bool hasBias)
    {
        Experts = experts;
        Activation = activation;
        _arrays = NativeBuffer.AllocateZeroed(ArrayBytes(experts), "the table of expert matrices");
        Up = (WeightMatrix*)_arrays.Pointer;
        Down = Up + experts;
        Gate = activation.Gated ? Down + experts : null;
        if (!hasBias)
            return;

        UpBias = (float**)(Up + (3 * experts));
        DownBias = UpBias + experts;
        GateBias = activation.Gated ? DownBias + experts : null;
    }

    /// <summary>Takes arrays that somebody else keeps; pointers as the properties of the same name describe
    /// them.</summary>
    public ExpertMatrices(
        int experts,
        Activation activation,
        WeightMatrix* gate,
        WeightMatrix* up,
        WeightMatrix* down,
        float** gateBias,
        float** upBias,
        float** downBias)
    {
        (Experts, Activation) = (experts, activation);
        Gate = gate;
        Up = up;
        Down = down;
        GateBias = gateBias;
        UpBias = upBias;
        DownBias = downBias;
    }

    /// <summary>E.</summary>
    public int Experts { get; }

    /// <summary>The network's non-linearity.</summary>
    public Activation Activation { get; }

    /// <summary>[E] of [intermediate × hidden]; null when not gated.</summary>
    public WeightMatrix* Gate { get; }

    /// <summary>[E] of [intermediate × hidden].</summary>
    public WeightMatrix* Up { get; }

    /// <summary>[E] of [hidden × intermediate].</summary>
    public WeightMatrix* Down { get; }

    /// <summary>[E] of [intermediate]; null without biases or gates.</summary>
    public float** GateBias { get; }

    /// <summary>[E] of [intermediate]; null without biases.</summary>
    public float** UpBias { get; }

    /// <summary>[E] of [hidden]; null without biases.</summary>
    public float** DownBias { get; }

    /// <summary>Inputs and outputs of an expert.</summary>
    public int Hidden => Down->Rows;

    /// <summary>Width between an expert's matrices.</summary>
    public int Intermediate => Up->Rows;

    /// <summary>Bytes of the native arrays.</summary>
    public static long ArrayBytes(int experts) => (long)experts * 3 * (sizeof(WeightMatrix) + sizeof(float*));

    /// <summary>Sets the matrices of an expert.</summary>
    /// <param name="expert">Its id.</param>
    /// <param name="gate">[intermediate × hidden]; ignored when not gated.</param>
    /// <param name="up">[intermediate × hidden].</param>
    /// <param name="down">[hidden × intermediate].</param>
    /// <exception cref="ArgumentException">The shapes do not fit together.</exception>
    public void Set(int expert, in WeightMatrix gate, in WeightMatrix up, in WeightMatrix down)
    {
        bool fits = up.Rows == down.Columns && up.Columns == down.Rows
            && (Gate == null || (gate.Rows == up.Rows && gate.Columns == up.Columns));
        if (!fits)
        {
            throw new ArgumentException(
                $"Expert {expert}: gate [{gate.Rows} x {gate.Columns}], up [{up.Rows} x {up.Columns}] and "
                + $"down [{down.Rows} x {down.Columns}] do not fit together.");
        }

        Up[expert] = up;
        Down[expert] = down;
        if (Gate != null)
            Gate[expert] = gate;
    }

    /// <summary>Sets the matrices of an expert whose gate and up rows lie in one tensor.</summary>
    /// <param name="expert">Its id.</param>
    /// <param name="gateUp">[2 intermediate × hidden] when gated, else [intermediate × hidden].</param>
    /// <param name="order">How the rows alternate.</param>
    /// <param name="down">[hidden × intermediate].</param>
    public void SetFused(int expert, in WeightMatrix gateUp, GateUpOrder order, in WeightMatrix down)
    {
        if (Gate == null)
            Set(expert, default, gateUp, down);
        else if (order == GateUpOrder.Interleaved)
            Set(expert, gateUp.EverySecondRow(0), gateUp.EverySecondRow(1), down);
        else
            Set(expert, gateUp.Slice(0, gateUp.Rows / 2), gateUp.Slice(gateUp.Rows / 2, gateUp.Rows / 2), down);
    }

    /// <summary>Sets the biases of an expert: [intermediate], [intermediate] and [hidden] fp32 values.</summary>
    public void SetBias(int expert, float* gate, float* up, float* down)
    {
        UpBias[expert] = up;
        DownBias[expert] = down;
        if (GateBias != null)
            GateBias[expert] = gate;
    }

    /// <summary>Frees the arrays, unless they are somebody else's.</summary>
    public void Dispose() => _arrays?.Dispose();
}
