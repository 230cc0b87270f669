using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Packed;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cpu;

/// <summary>Experts of codebook matrices against plain loops: shared and own codebooks, tokens read through a
/// map.</summary>
[Collection("Cpu")]
public sealed unsafe class CodebookExpertsTests
{
    private const int Hidden = 200;
    private const int Intermediate = 133;
    private const int Tokens = 23;

    // Tokens of each expert, ascending; none, one, some, more than one panel.
    private static readonly int[][] s_tokens =
        [[0, 7, 22], [], [3], [.. Enumerable.Range(0, Tokens)], [], [1, 2, 5, 11, 20, 21], [22]];

    public enum Sharing
    {
        OneForAll,
        GateAndUpApart,
        EachExpert,
    }

    [Theory]
    [InlineData(Sharing.OneForAll, ActivationKind.Silu, true, false)]
    [InlineData(Sharing.GateAndUpApart, ActivationKind.ClampedSwiGlu, true, true)]
    [InlineData(Sharing.GateAndUpApart, ActivationKind.Relu, false, true)]
    [InlineData(Sharing.EachExpert, ActivationKind.Gelu, true, true)]
    [InlineData(Sharing.EachExpert, ActivationKind.GeluTanh, false, false)]
    public void GateUp_TokensThroughAMap_HasTheBitsOfTheReference(
        Sharing sharing, ActivationKind kind, bool gated, bool biased)
    {
        using Experts gate = new(new(Intermediate, Hidden, sharing == Sharing.OneForAll ? 8 : 5, 1), 1, sharing);
        using Experts up = new(new(Intermediate, Hidden, 8, 1), 100, sharing);
        CodebookVectors* shared = sharing == Sharing.OneForAll ? up.Views[0].Vectors : null;
        if (shared != null)
            gate.Share(up);
        Activation activation = new(kind, gated);
        int[] offsets = Offsets(), map = [.. s_tokens.SelectMany(t => t)];
        float[] x = CpuTests.Random(new Random(5), Tokens * Hidden);
        using NativeFloats inputs = new(x);
        using NativeFloats slots = new([.. map.SelectMany(t => x[(t * Hidden)..((t + 1) * Hidden)])]);
        float[] g = gate.Reference(slots.Span, biased), u = up.Reference(slots.Span, biased);
        float[] expected = [.. u.Select((value, i) => ReferenceExperts.Activate(activation, gated ? g[i] : 0, value))];

        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats byToken = new(map.Length * (Intermediate + 2)), bySlot = new(byToken.Count);
            CodebookLinearTests.Poison(pool);
            fixed (int* first = offsets)
            fixed (int* rows = map)
            {
                float** gateBias = biased && gated ? gate.Biases : null;
                float** upBias = biased ? up.Biases : null;
                ExpertSlots list = new(s_tokens.Length, first, inputs.Pointer, Hidden, Tokens, rows);
                CodebookExperts.GateUp(
                    pool, activation, gate.Views, up.Views, gateBias, upBias, list, byToken.Pointer, Intermediate + 2);
                GroupedGemm.GateUp(
                    pool, activation, gated ? gate.Views : null, up.Views, gateBias, upBias, s_tokens.Length, first,
                    slots.Pointer, Hidden, bySlot.Pointer, Intermediate + 2);
            }

            float[] result = byToken.Rows(map.Length, Intermediate, Intermediate + 2);
            CpuTests.AssertBits(
                result, bySlot.Rows(map.Length, Intermediate, Intermediate + 2), "copies of the tokens");
            return result;
        });
    }

    [Theory]
    [InlineData(Sharing.OneForAll, false)]
    [InlineData(Sharing.EachExpert, true)]
    public void Down_SkewedRouting_HasTheBitsOfTheReference(Sharing sharing, bool biased)
    {
        using Experts down = new(new(Intermediate, Hidden, 6, 2), 7, sharing);
        int[] offsets = Offsets();
        using NativeFloats x = new(CpuTests.Random(new Random(5), offsets[^1] * Hidden));
        CpuTests.AssertBits(down.Reference(x.Span, biased), pool =>
        {
            using NativeFloats y = new(offsets[^1] * Intermediate);
            CodebookLinearTests.Poison(pool);
            fixed (int* first = offsets)
            {
                GroupedGemm.Down(
                    pool, down.Views, biased ? down.Biases : null, s_tokens.Length, first, x.Pointer, Hidden, y.Pointer,
                    Intermediate);
            }

            return y.Span.ToArray();
        });
    }

    [Theory]
    [InlineData(Sharing.OneForAll)]
    [InlineData(Sharing.EachExpert)]
    public void GateUp_MoreTokensThanTheTablesHold_HasTheBitsOfTheReference(Sharing sharing)
    {
        // 1 MiB of tables per token: panels of 16 and 32 tokens.
        const int Columns = 2048, Count = 70;
        using Experts up = new(new(2, Columns, 1, 4), 8, sharing);
        int[] map = [.. Enumerable.Range(0, Count).Where(t => t % 5 < 3), .. Enumerable.Range(0, Count)];
        int[] offsets = [0, map.Length - Count, map.Length - Count, .. Enumerable.Repeat(map.Length, 5)];
        float[] x = CpuTests.Random(new Random(5), Count * Columns);
        using NativeFloats inputs = new(x);
        using NativeFloats slots = new([.. map.SelectMany(t => x[(t * Columns)..((t + 1) * Columns)])]);
        float[] expected = [.. up.Reference(slots.Span, false, offsets).Select(v => Math.Max(v, 0))];
        using WorkerPool pool = new(2);
        using NativeFloats byToken = new(map.Length * 2), bySlot = new(map.Length * 2);
        fixed (int* first = offsets)
        fixed (int* rows = map)
        {
            ExpertSlots list = new(7, first, inputs.Pointer, Columns, Count, rows);
            CodebookExperts.GateUp(pool, Activation.Relu, null, up.Views, null, null, list, byToken.Pointer, 2);
            list = new(7, first, slots.Pointer, Columns, map.Length);
            CodebookExperts.GateUp(pool, Activation.Relu, null, up.Views, null, null, list, bySlot.Pointer, 2);
        }

        CpuTests.AssertBits(expected, byToken.Span, "through the map");
        CpuTests.AssertBits(expected, bySlot.Span, "in expert order");
    }

    [Fact]
    public void GateUp_OneOtherFormat_IsExactForAll()
    {
        using Experts up = new(new(Intermediate, Hidden, 8, 1), 9, Sharing.OneForAll);
        using TestMatrix dense = new(WeightFormat.F32, Intermediate, Hidden, 1);
        up.Views[3] = dense.View;
        int[] offsets = Offsets();
        using NativeFloats x = new(CpuTests.Random(new Random(5), offsets[^1] * Hidden));
        using NativeFloats y = new(offsets[^1] * Intermediate);
        using WorkerPool pool = new(2);
        fixed (int* first = offsets)
            GroupedGemm.Down(pool, up.Views, null, 7, first, x.Pointer, Hidden, y.Pointer, Intermediate);
        for (int e = 0; e < s_tokens.Length; e++)
        {
            for (int slot = offsets[e]; slot < offsets[e + 1]; slot++)
            {
                float expected = ReferenceDot.Row(up.Views[e], 5, x.Pointer + (slot * Hidden));
                Assert.Equal(expected, y.Pointer[(slot * Intermediate) + 5]);
            }
        }
    }

    [Fact]
    public void Down_AfterTheFirstCall_AllocatesNothing()
    {
        using Experts down = new(new(Intermediate, Hidden, 8, 1), 9, Sharing.EachExpert);
        int[] offsets = Offsets();
        using NativeFloats x = new(CpuTests.Random(new Random(5), offsets[^1] * Hidden));
        using NativeFloats y = new(offsets[^1] * Intermediate);
        using WorkerPool pool = new(2);
        long before = 0;
        fixed (int* first = offsets)
        {
            for (int round = 0; round < 3; round++)
            {
                before = GC.GetAllocatedBytesForCurrentThread();
                GroupedGemm.Down(pool, down.Views, null, 7, first, x.Pointer, Hidden, y.Pointer, Intermediate);
            }
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static int[] Offsets()
    {
        int[] offsets = new int[s_tokens.Length + 1];
        for (int e = 0; e < s_tokens.Length; e++)
            offsets[e + 1] = offsets[e] + s_tokens[e].Length;
        return offsets;
    }

    private sealed class Experts : IDisposable
    {
        private readonly TestCodebook[] _matrices;
        private readonly NativeFloats[] _biases;
        private readonly NativeBuffer _views;
        private readonly Codebook[] _codebooks;

        public Experts(CodebookShape shape, int seed, Sharing sharing)
        {
            int count = s_tokens.Length;
            _matrices = [.. Enumerable.Range(0, count).Select(e => new TestCodebook(shape, seed + e))];
            _biases =
                [.. Enumerable.Range(0, count).Select(
                    e => new NativeFloats(CpuTests.Random(new Random(e), shape.Rows)))];
            _codebooks = [.. _matrices.Select(m => (sharing == Sharing.EachExpert ? m : _matrices[0]).Vectors)];
            _views = NativeBuffer.Allocate(count * (sizeof(WeightMatrix) + sizeof(float*)), "test experts");
            for (int e = 0; e < count; e++)
            {
                Views[e] = _matrices[e].MatrixWith(_codebooks[e]);
                Biases[e] = _biases[e].Pointer;
            }
        }

        public WeightMatrix* Views => (WeightMatrix*)_views.Pointer;

        public float** Biases => (float**)(Views + s_tokens.Length);

        /// <summary>Takes the codebook of other experts.</summary>
        public void Share(Experts other)
        {
            for (int e = 0; e < s_tokens.Length; e++)
            {
                _codebooks[e] = other._codebooks[e];
                Views[e] = _matrices[e].MatrixWith(_codebooks[e]);
            }
        }

        /// <summary>Products of rows in expert order.</summary>
        public float[] Reference(ReadOnlySpan<float> slots, bool biased, int[]? offsets = null)
        {
            offsets ??= Offsets();
            List<float> result = [];
            for (int e = 0; e < s_tokens.Length; e++)
            {
                CodebookShape shape = _matrices[e].Shape;
                float[] y = TestCodebook.Reference(
                    _matrices[e].View, _codebooks[e], slots[(offsets[e] * shape.Columns)..], shape.Columns,
                    offsets[e + 1] - offsets[e]);
                for (int i = 0; biased && i < y.Length; i++)
                    y[i] += Biases[e][i % shape.Rows];
                result.AddRange(y);
            }

            return [.. result];
        }

        public void Dispose()
        {
            foreach (TestCodebook matrix in _matrices)
                matrix.Dispose();
            foreach (NativeFloats bias in _biases)
                bias.Dispose();
            _views.Dispose();
        }
    }
}
