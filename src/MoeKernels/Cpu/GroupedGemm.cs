using System.Runtime.CompilerServices;
using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>The experts' matrices over rows in expert order: rows <c>[offsets[e], offsets[e + 1])</c> belong to
/// expert e.</summary>
/// <remarks>
/// All experts share one parallel region whose items are blocks of weight rows of one expert, so one token and a skewed
/// routing spread over all threads too. A row's bits are those of <see cref="Linear"/>. Codebook matrices are looked up
/// (<see cref="CodebookExperts"/>) where all matrices of a step are of that format, and so are ternary tiles
/// (<see cref="TileExperts"/>); in a mixture they are unpacked.
/// </remarks>
internal static unsafe class GroupedGemm
{
    /// <summary>Computes <c>a = act(gate xp) * up xp</c>, or <c>a = act(up xp)</c> when not gated.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="activation">The non-linearity and whether there is a gate.</param>
    /// <param name="gate">One [intermediate × hidden] matrix per expert; null when not gated.</param>
    /// <param name="up">One [intermediate × hidden] matrix per expert.</param>
    /// <param name="gateBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="upBias">One [intermediate] bias pointer per expert, or null for none.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First row of each expert, [E + 1].</param>
    /// <param name="xp">Rows in expert order, [offsets[E] × hidden].</param>
    /// <param name="xStride">Distance between two rows of <paramref name="xp"/> in elements.</param>
    /// <param name="a">Output, [offsets[E] × intermediate]; must not overlap <paramref name="xp"/>.</param>
    /// <param name="aStride">Distance between two rows of <paramref name="a"/> in elements.</param>
    public static void GateUp(
        WorkerPool pool, in Activation activation, WeightMatrix* gate, WeightMatrix* up, float** gateBias,
        float** upBias, int experts, int* offsets, float* xp, nint xStride, float* a, nint aStride)
    {
        Observe(pool, gate, experts, offsets, xp, xStride);
        Observe(pool, up, experts, offsets, xp, xStride);
        if (CodebookExperts.Covers(gate, experts, offsets) && CodebookExperts.Covers(up, experts, offsets))
        {
            ExpertSlots slots = new(experts, offsets, xp, xStride, offsets[experts]);
            CodebookExperts.GateUp(pool, activation, gate, up, gateBias, upBias, slots, a, aStride);
            return;
        }

        if (TileExperts.Covers(gate, experts, offsets) && TileExperts.Covers(up, experts, offsets))
        {
            ExpertSlots slots = new(experts, offsets, xp, xStride, offsets[experts]);
            ExpertProduct gates = new(gate, gateBias), ups = new(up, upBias);
            TileExperts.GateUp(pool, activation, gates, ups, slots, a, aStride);
            return;
        }

        Work work = new()
        {
            Activation = activation,
            IsGateUp = true,
            Gate = gate,
            Main = up,
            GateBias = gateBias,
            MainBias = upBias,
            Experts = experts,
            Offsets = offsets,
            X = xp,
            XStride = xStride,
            Y = a,
            YStride = aStride,
        };
        pool.Run(ref work, work.Blocks());
    }

    /// <summary>Computes <c>yp = down a + bias</c>.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="down">One [hidden × intermediate] matrix per expert.</param>
    /// <param name="bias">One [hidden] bias pointer per expert, or null for none.</param>
    /// <param name="experts">Number of experts E.</param>
    /// <param name="offsets">First row of each expert, [E + 1].</param>
    /// <param name="a">Rows in expert order, [offsets[E] × intermediate].</param>
    /// <param name="aStride">Distance between two rows of <paramref name="a"/> in elements.</param>
    /// <param name="yp">Output, [offsets[E] × hidden]; must not overlap <paramref name="a"/>.</param>
    /// <param name="yStride">Distance between two rows of <paramref name="yp"/> in elements.</param>
    public static void Down(
        WorkerPool pool, WeightMatrix* down, float** bias, int experts, int* offsets, float* a, nint aStride,
        float* yp, nint yStride)
    {
        Observe(pool, down, experts, offsets, a, aStride);
        if (CodebookExperts.Covers(down, experts, offsets))
        {
            ExpertSlots slots = new(experts, offsets, a, aStride, offsets[experts]);
            CodebookExperts.Down(pool, down, bias, slots, yp, yStride);
            return;
        }

        if (TileExperts.Covers(down, experts, offsets))
        {
            ExpertSlots slots = new(experts, offsets, a, aStride, offsets[experts]);
            TileExperts.Down(pool, new ExpertProduct(down, bias), slots, yp, yStride);
            return;
        }

        Work work = new()
        {
            Main = down,
            MainBias = bias,
            Experts = experts,
            Offsets = offsets,
            X = a,
            XStride = aStride,
            Y = yp,
            YStride = yStride,
        };
        pool.Run(ref work, work.Blocks());
    }

    private static void Observe(
        WorkerPool pool, WeightMatrix* matrices, int experts, int* offsets, float* x, nint xStride)
    {
        if (pool.Tap is not { } tap || matrices == null)
            return;
        for (int e = 0; e < experts; e++)
            tap.Observe(matrices[e], x + (offsets[e] * xStride), xStride, offsets[e + 1] - offsets[e]);
    }

    /// <summary>One block of the up (and gate) projection with its activation while the sums are in the first-level
    /// cache.</summary>
    [SkipLocalsInit]
    private static void GateUpBlock<T>(in Work work, int expert, int row, int rows, int token, int tokens)
        where T : struct, IVec16<T>
    {
        float* u = stackalloc float[GemmBlock.Rows * GemmBlock.Tokens];
        float* x = work.X + (token * work.XStride);
        GemmBlock.Forward<T>(
            work.Main[expert], row, rows, Bias(work.MainBias, expert, row), x, work.XStride, tokens, u, rows);
        if (work.Activation.Gated)
        {
            float* g = stackalloc float[GemmBlock.Rows * GemmBlock.Tokens];
            GemmBlock.Forward<T>(
                work.Gate[expert], row, rows, Bias(work.GateBias, expert, row), x, work.XStride, tokens, g, rows);
            Activations.ApplyGated(work.Activation, g, u, u, rows * tokens);
        }
        else
        {
            Activations.Apply(work.Activation.Kind, u, u, rows * tokens);
        }

        for (int t = 0; t < tokens; t++)
        {
            float* y = work.Y + ((token + t) * work.YStride) + row;
            new Span<float>(u + (t * rows), rows).CopyTo(new Span<float>(y, rows));
        }
    }

    private static float* Bias(float** biases, int expert, int row) =>
        biases == null || biases[expert] == null ? null : biases[expert] + row;

    private struct Work : IWork
    {
        public Activation Activation;
        public WeightMatrix* Gate, Main;
        public float** GateBias, MainBias;
        public int* Offsets;
        public float* X, Y;
        public nint XStride, YStride;
        public int Experts;
        public bool IsGateUp;

        public readonly int BlocksOf(int expert) =>
            GemmBlock.Count(Main[expert].Rows, Offsets[expert + 1] - Offsets[expert]);

        public readonly int Blocks()
        {
            int blocks = 0;
            for (int expert = 0; expert < Experts; expert++)
                blocks += BlocksOf(expert);
            return blocks;
        }

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct Kernel : IVecKernel
    {
        public Work Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int first = 0;
            for (int expert = 0; expert < Work.Experts && first < End; expert++)
            {
                int blocks = Work.BlocksOf(expert);
                int last = Math.Min(End - first, blocks);
                for (int block = Math.Max(Begin - first, 0); block < last;)
                    block += Block<T>(expert, block, last);
                first += blocks;
            }
        }

        private readonly int Block<T>(int expert, int block, int end)
            where T : struct, IVec16<T>
        {
            int offset = Work.Offsets[expert];
            int covered = GemmBlock.Locate(
                block, end, Work.Main[expert].Rows, Work.Offsets[expert + 1] - offset,
                out int row, out int rows, out int token, out int tokens);
            token += offset;
            if (Work.IsGateUp)
            {
                GateUpBlock<T>(Work, expert, row, rows, token, tokens);
                return covered;
            }

            GemmBlock.Forward<T>(
                Work.Main[expert], row, rows, Bias(Work.MainBias, expert, row), Work.X + (token * Work.XStride),
                Work.XStride, tokens, Work.Y + (token * Work.YStride) + row, Work.YStride);
            return covered;
        }
    }
}
