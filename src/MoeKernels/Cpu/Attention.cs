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

    /// <summary>Query heads; a multiple of <see cref="KvHeads"/>. Head h reads key/value head <c>h / (Heads / KvHeads)</c>.</summary>
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

/// <summary>Softmax attention of query rows over a cache of contiguous key and value rows.</summary>
internal static unsafe class Attention
{
    /// <summary>
    /// Computes <c>y[row, h] = Σp softmax_p(scale * q[row, h]·k[p] + bias[row, h, p]) v[p]</c> over
    /// <c>p = first[row] ... last[row]</c>, ascending.
    /// </summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="input">Shapes and memory.</param>
    /// <remarks>A row's bits depend on the row, its range and the cached rows in it, not on the other rows.</remarks>
    public static void Forward(WorkerPool pool, in AttentionInput input)
    {
        for (int row = 0; row < input.Rows; row++)
        {
            for (int head = 0; head < input.Heads; head++)
                OneRow(input, row, head);
        }
    }

    private static void OneRow(in AttentionInput a, int row, int head)
    {
        int kvHead = head / (a.Heads / a.KvHeads);
        float* q = a.Q + (row * a.QStride) + (head * a.QHeadStride);
        float* y = a.Y + (row * a.YStride) + (head * a.YHeadStride);
        float max = a.Sinks == null ? float.MinValue : a.Sinks[head];
        double sum = a.Sinks == null ? 0 : 1;
        new Span<float>(y, a.ValueDim).Clear();
        for (int p = a.First[row]; p <= a.Last[row]; p++)
        {
            float score = a.Scale * Vec.Dot(a.K + (p * a.KStride) + (kvHead * a.KHeadStride), q, a.KeyDim);
            if (a.Bias != null)
                score += a.Bias[(row * a.BiasStride) + (head * a.BiasHeadStride) + p];
            float larger = MathF.Max(max, score);
            float shrink = MathF.Exp(max - larger);
            float weight = MathF.Exp(score - larger);
            max = larger;
            sum = (sum * shrink) + weight;
            Vec.Scale(y, shrink, y, a.ValueDim);
            Vec.AddScaled(y, a.V + (p * a.VStride) + (kvHead * a.VHeadStride), weight, a.ValueDim);
        }

        Vec.Scale(y, (float)(1 / sum), y, a.ValueDim);
    }
}
