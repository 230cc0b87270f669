using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>The experts' ternary tiles over rows in expert order, as <see cref="GroupedGemm"/> has them for other
/// formats.</summary>
/// <remarks>Inputs are rounded to 8 bits once per slot; all experts then share one parallel region whose items are
/// bands of 64 rows.</remarks>
internal static unsafe class TileExperts
{
    /// <summary>Inputs that are worth a parallel region of their own.</summary>
    private const long ParallelInputs = 1 << 16;

    /// <summary>Whether the matrices of all experts that have rows are ternary tiles.</summary>
    /// <param name="matrices">One matrix per expert, or null.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First slot of each expert, [E + 1].</param>
    public static bool Covers(WeightMatrix* matrices, int experts, int* offsets)
    {
        for (int e = 0; e < experts && matrices != null; e++)
        {
            if (offsets[e] < offsets[e + 1] && matrices[e].Format != WeightFormat.TernaryTiles)
                return false;
        }

        return true;
    }

    /// <summary>Computes <c>a = act(gate x) * up x</c>, or <c>a = act(up x)</c> when not gated, for each
    /// slot.</summary> <param name="pool">Threads to use.</param>
    /// <param name="activation">The non-linearity and whether there is a gate.</param>
    /// <param name="gate">Gates of the experts; nothing when not gated.</param>
    /// <param name="up">One [intermediate × hidden] matrix per expert.</param>
    /// <param name="slots">Slots of the experts and their inputs.</param>
    /// <param name="a">Output, [slots × intermediate]; must not overlap the inputs.</param>
    /// <param name="aStride">Distance between two slots of <paramref name="a"/> in elements.</param>
    public static void GateUp(
        WorkerPool pool, in Activation activation, in ExpertProduct gate, in ExpertProduct up, in ExpertSlots slots,
        float* a, nint aStride)
    {
        Activation copy = activation;
        Run(pool, slots, new TileWork { Activation = &copy, Gate = gate, Main = up, Y = a, YStride = aStride });
    }

    /// <summary>Computes <c>yp = down a + bias</c> for each slot.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="down">One [hidden × intermediate] matrix per expert.</param>
    /// <param name="slots">Slots of the experts and their inputs.</param>
    /// <param name="yp">Output, [slots × hidden]; must not overlap the inputs.</param>
    /// <param name="yStride">Distance between two slots of <paramref name="yp"/> in elements.</param>
    public static void Down(
        WorkerPool pool, in ExpertProduct down, in ExpertSlots slots, float* yp, nint yStride) =>
        Run(pool, slots, new TileWork { Main = down, Y = yp, YStride = yStride });

    /// <summary>Whether a matrix of <see cref="Linear"/> is of ternary tiles.</summary>
    public static bool Any(LinearPart* parts, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (parts[i].Weights.Format == WeightFormat.TernaryTiles)
                return true;
        }

        return false;
    }

    /// <summary>Multiplies the matrices of <see cref="Linear"/> that are ternary tiles and collects the
    /// others.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="parts">The matrices.</param>
    /// <param name="count">Number of matrices.</param>
    /// <param name="x">Input, [tokens × columns].</param>
    /// <param name="xStride">Distance between two tokens in elements.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="others">Output, room for <paramref name="count"/>.</param>
    /// <returns>Number of others.</returns>
    public static int TakeParts(
        WorkerPool pool, LinearPart* parts, int count, float* x, nint xStride, int tokens, LinearPart* others)
    {
        int left = 0;
        int* offsets = stackalloc int[] { 0, tokens };
        for (int i = 0; i < count; i++)
        {
            if (parts[i].Weights.Format != WeightFormat.TernaryTiles)
            {
                others[left++] = parts[i];
                continue;
            }

            WeightMatrix matrix = parts[i].Weights;
            float* bias = parts[i].Bias;
            ExpertSlots slots = new(1, offsets, x, xStride, tokens);
            Down(pool, new ExpertProduct(&matrix, &bias), slots, parts[i].Y, parts[i].YStride);
        }

        return left;
    }

    private static void Run(WorkerPool pool, in ExpertSlots slots, TileWork work)
    {
        int columns = Columns(work.Main.Matrices, slots);
        if (slots.Slots == 0)
            return;

        long bytes = (sizeof(TileInputs) * (long)slots.Experts + 63) & ~63L;
        for (int e = 0; e < slots.Experts; e++)
            bytes += TileInputs.ByteCount(columns, slots.Offsets[e + 1] - slots.Offsets[e]);
        using ScratchPool.Lease memory = pool.Rent(bytes);
        work.Slots = slots;
        work.Inputs = (TileInputs*)memory.Pointer;
        Place(slots, columns, work.Inputs);
        var rounding = new RoundingWork { Slots = slots, Inputs = work.Inputs };
        if (slots.Slots * (long)columns >= ParallelInputs)
            pool.Run(ref rounding, slots.Slots);
        else
            rounding.Execute(0, slots.Slots, 0);
        pool.Run(ref work, work.Items());
    }

    private static int Columns(WeightMatrix* matrices, in ExpertSlots slots)
    {
        int expert = 0;
        while (expert < slots.Experts - 1 && slots.Offsets[expert] == slots.Offsets[expert + 1])
            expert++;
        return matrices[expert].Columns;
    }

    private static void Place(in ExpertSlots slots, int columns, TileInputs* inputs)
    {
        byte* next = (byte*)inputs + ((sizeof(TileInputs) * (nint)slots.Experts + 63) & ~63);
        for (int e = 0; e < slots.Experts; e++)
        {
            int tokens = slots.Offsets[e + 1] - slots.Offsets[e];
            inputs[e] = new TileInputs(columns, tokens, next);
            next += TileInputs.ByteCount(columns, tokens);
        }
    }

    private struct RoundingWork : IWork
    {
        public ExpertSlots Slots;
        public TileInputs* Inputs;

        public readonly void Execute(int begin, int end, int worker)
        {
            int expert = 0;
            for (int slot = begin; slot < end; slot++)
            {
                while (Slots.Offsets[expert + 1] <= slot)
                    expert++;
                float* x = Slots.X + (Slots.Row(slot) * Slots.XStride);
                Inputs[expert].Round(slot - Slots.Offsets[expert], x);
            }
        }
    }
}
