using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>One attention on a device; strides in floats.</summary>
internal unsafe struct DeviceAttention
{
    public int Rows, Heads, KvHeads, KeyDim, ValueDim;

    /// <summary>Positions that the cache holds, above every last one.</summary>
    public int Positions;

    public float Scale;

    /// <summary>[rows × heads × key dim].</summary>
    public float* Q;

    /// <summary>[positions × kv heads × key dim] and [positions × kv heads × value dim].</summary>
    public float* K, V;

    /// <summary>Receives [rows × heads × value dim].</summary>
    public float* Y;

    /// <summary>First and last position of each row, [rows].</summary>
    public int* First, Last;

    /// <summary>[heads], or null.</summary>
    public float* Sinks;

    /// <summary>0 where no row sees a position, [positions]; or null.</summary>
    public int* Mask;

    /// <summary>Added to the scores by the distance from a row's place to the position, [heads × 2 reach + 1]; or
    /// null.</summary>
    public float* Bias;

    /// <summary>Position of each row itself, [rows]; needed with <see cref="Bias"/>.</summary>
    public int* Places;

    /// <summary>Largest distance with a bias of its own.</summary>
    public int BiasReach;

    public long QStride, QHeadStride, KStride, KHeadStride, VStride, VHeadStride, YStride, YHeadStride;

    /// <summary>A call whose queries, keys, values and results are rows of heads without gaps.</summary>
    public static DeviceAttention OfRows(int heads, int kvHeads, int headDim) => new()
    {
        Heads = heads,
        KvHeads = kvHeads,
        KeyDim = headDim,
        ValueDim = headDim,
        QStride = (long)heads * headDim,
        QHeadStride = headDim,
        KStride = (long)kvHeads * headDim,
        KHeadStride = headDim,
        VStride = (long)kvHeads * headDim,
        VHeadStride = headDim,
        YStride = (long)heads * headDim,
        YHeadStride = headDim,
    };
}

/// <summary>What a transformer needs beside its matrices, on a device; every pointer is device memory.</summary>
internal static unsafe class DeviceOps
{
    /// <summary>Widest query and key heads of <see cref="Attend"/>.</summary>
    public const int WidestKey = 576;

    /// <summary>Widest value heads of <see cref="Attend"/>.</summary>
    public const int WidestValue = 512;

    /// <summary>Rows up to which an attention shares its positions among blocks.</summary>
    public const int FewRows = 8;

    private const string Step = "a transformer step";

    /// <summary>Root mean square norm of rows that lie a stride apart; y may be x.</summary>
    public static void RmsNorm(
        DeviceQueue queue, float* x, long xStride, float* weight, float offset, float epsilon, float* y, long yStride,
        long rows, int width) =>
        queue.Check(
            Moek.moek_rms_norm(
                y, queue.Device.Pointer, x, weight, offset, epsilon, rows, width, xStride, yStride, queue.Stream),
            Step);

    /// <summary>Layer norm of contiguous rows; y may be x.</summary>
    public static void LayerNorm(
        DeviceQueue queue, float* x, float* weight, float* bias, float epsilon, float* y, long rows, int width) =>
        queue.Check(
            Moek.moek_layer_norm(y, queue.Device.Pointer, x, weight, bias, epsilon, rows, width, queue.Stream), Step);

    /// <summary><c>x += y</c>.</summary>
    public static void Add(DeviceQueue queue, float* x, float* y, long count) =>
        queue.Check(Moek.moek_add(x, queue.Device.Pointer, y, 1f, count, queue.Stream), Step);

    /// <summary>Clamps to ± <paramref name="limit"/>, in place.</summary>
    public static void Clamp(DeviceQueue queue, float* x, float limit, long count) =>
        queue.Check(Moek.moek_clamp(x, queue.Device.Pointer, limit, count, queue.Stream), Step);

    /// <summary>Multiplies rows by the sigmoid of their gates.</summary>
    public static void Gate(DeviceQueue queue, float* y, float* gate, long rows, int width, long gateStride) =>
        queue.Check(Moek.moek_gate(y, queue.Device.Pointer, gate, rows, width, gateStride, queue.Stream), Step);

    /// <summary>Multiplies each row by its factor, in place.</summary>
    public static void ScaleRows(DeviceQueue queue, float* x, float* factors, long rows, int width) =>
        queue.Check(Moek.moek_scale_rows(x, queue.Device.Pointer, factors, rows, width, width, queue.Stream), Step);

    /// <summary>Copies the heads of rows from one layout to another.</summary>
    public static void CopyHeads(
        DeviceQueue queue, in DeviceHeadRows x, in DeviceHeadRows y, int rows, int heads, int width)
    {
        moek_heads_args args;
        Moek.moek_heads_args_init(&args);
        (args.rows, args.heads, args.width) = (rows, heads, width);
        args.x = x.First;
        (args.x_dtype, args.x_stride, args.x_head_stride) = ((int)x.Type, x.Stride, x.HeadStride);
        args.y = y.First;
        (args.y_dtype, args.y_stride, args.y_head_stride) = ((int)y.Type, y.Stride, y.HeadStride);
        queue.Check(Moek.moek_copy_heads(queue.Device.Pointer, &args, queue.Stream), Step);
    }

    /// <summary>Rotates the first <paramref name="dimensions"/> elements of every head, in place.</summary>
    public static void Rotate(
        DeviceQueue queue, float* x, float* angles, int rows, int heads, int dimensions, bool interleaved,
        long rowStride, long headStride) =>
        queue.Check(
            Moek.moek_rope(
                x, queue.Device.Pointer, angles, rows, heads, dimensions, interleaved ? 1 : 0, rowStride, headStride,
                queue.Stream),
            Step);

    /// <summary>Scratch bytes of <see cref="Attend"/>.</summary>
    public static long AttentionScratchBytes(CudaDevice device, int rows, int heads, int valueDim, int positions)
    {
        if (rows > FewRows)
            return 0;
        ulong bytes;
        device.Check(Moek.moek_attention_workspace(&bytes, rows, heads, valueDim, positions), Step);
        return DeviceQueue.Rounded((long)bytes);
    }

    /// <summary>Attention of rows over cached positions.</summary>
    public static void Attend(DeviceQueue queue, in DeviceAttention call)
    {
        long mark = queue.Mark();
        long scratch = AttentionScratchBytes(queue.Device, call.Rows, call.Heads, call.ValueDim, call.Positions);
        moek_attention_args args;
        Moek.moek_attention_args_init(&args);
        (args.rows, args.heads, args.kv_heads) = (call.Rows, call.Heads, call.KvHeads);
        (args.key_dim, args.value_dim, args.scale) = (call.KeyDim, call.ValueDim, call.Scale);
        args.q = call.Q;
        args.k = call.K;
        args.v = call.V;
        args.y = call.Y;
        args.first = call.First;
        args.last = call.Last;
        args.sinks = call.Sinks;
        args.mask = call.Mask;
        args.bias = call.Bias;
        args.places = call.Places;
        args.bias_reach = call.BiasReach;
        (args.q_stride, args.q_head_stride) = (call.QStride, call.QHeadStride);
        (args.k_stride, args.k_head_stride) = (call.KStride, call.KHeadStride);
        (args.v_stride, args.v_head_stride) = (call.VStride, call.VHeadStride);
        (args.y_stride, args.y_head_stride) = (call.YStride, call.YHeadStride);
        args.positions = call.Positions;
        args.workspace = scratch == 0 ? null : queue.TakeBytes(scratch);
        args.workspace_bytes = (ulong)scratch;
        queue.Check(Moek.moek_attention(queue.Device.Pointer, &args, queue.Stream), Step);
        queue.Release(mark);
    }
}
