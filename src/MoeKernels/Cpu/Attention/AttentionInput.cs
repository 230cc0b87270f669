namespace MoeKernels.Cpu;

/// <summary>Arguments of <see cref="Attention.Forward"/>. Strides are in elements; nothing is owned.</summary>
internal unsafe struct AttentionInput
{
    /// <summary>Queries, [rows × heads × keyDim].</summary>
    public float* Q;

    /// <summary>Distance between two rows, and between two heads of a row, of <see cref="Q"/>.</summary>
    public nint QStride, QHeadStride;

    /// <summary>Cached keys, [positions × kvHeads × keyDim].</summary>
    public float* K;

    /// <summary>Distance between two positions, and between two heads of a position, of <see cref="K"/>.</summary>
    public nint KStride, KHeadStride;

    /// <summary>Cached values, [positions × kvHeads × valueDim]; may be the keys themselves (MLA).</summary>
    public float* V;

    /// <summary>Distance between two positions, and between two heads of a position, of <see cref="V"/>.</summary>
    public nint VStride, VHeadStride;

    /// <summary>Result, [rows × heads × valueDim].</summary>
    public float* Y;

    /// <summary>Distance between two rows, and between two heads of a row, of <see cref="Y"/>.</summary>
    public nint YStride, YHeadStride;

    /// <summary>Query rows.</summary>
    public int Rows;

    /// <summary>Query heads; a multiple of <see cref="KvHeads"/>. Head h reads key/value head <c>h / (Heads /
    /// KvHeads)</c>.</summary>
    public int Heads, KvHeads;

    /// <summary>Elements of a query or key head, and of a value head.</summary>
    public int KeyDim, ValueDim;

    /// <summary>First and last position each row attends to, both inclusive, [rows].</summary>
    public int* First, Last;

    /// <summary>Multiplied into each score before the bias.</summary>
    public float Scale;

    /// <summary>Added to the scaled scores, [rows × heads × positions], or null.</summary>
    public float* Bias;

    /// <summary>Distance between two rows, and between two heads of a row, of <see cref="Bias"/>.</summary>
    public nint BiasStride, BiasHeadStride;

    /// <summary>One more logit per head that has no value (GPT-OSS), [heads], or null.</summary>
    public float* Sinks;
}
