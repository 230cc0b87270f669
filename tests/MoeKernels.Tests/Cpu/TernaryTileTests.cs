using CsCheck;
using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Packed;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cpu;

/// <summary>Tile kernels of every instruction set against the plain loops.</summary>
[Collection("Cpu")]
public sealed unsafe class TernaryTileTests
{
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(64, 128, 1)]
    [InlineData(65, 129, 3)]
    [InlineData(200, 700, 4)]
    [InlineData(130, 300, 8)]
    [InlineData(100, 511, 9)]
    [InlineData(70, 200, 33)]
    [InlineData(33, 1000, 70)]
    public void Forward_OddShapes_HasTheBitsOfTheReference(int rows, int columns, int tokens) =>
        Check(rows, columns, tokens, rows + columns);

    [Fact]
    public void Forward_AnyShape_HasTheBitsOfTheReference() =>
        Gen.Select(Gen.Int[1, 200], Gen.Int[1, 400], Gen.Int[0, 40], Gen.Int).Sample(
            (rows, columns, tokens, seed) => Check(rows, columns, tokens, seed), iter: 15, threads: 1);

    [Fact]
    public void Forward_InputsWithoutNumbers_StayInTheirToken()
    {
        QmoeMatrix w = QmoeFixture.RandomMatrix(90, 300, 1);
        float[] x = CpuTests.Random(new Random(2), 5 * 300);
        x[100] = float.NaN;
        x[300] = float.PositiveInfinity;
        Array.Clear(x, 600, 300);
        Check(w, x, 5);
        float[] y = Reference(w, x, 5);
        Assert.All(y[..180], value => Assert.True(float.IsNaN(value)));
        Assert.All(y[180..270], value => Assert.Equal(0, value));
    }

    [Fact]
    public void Forward_ComparedWithDenseWeights_IsClose()
    {
        QmoeMatrix w = QmoeFixture.RandomMatrix(64, 1024, 3);
        float[] x = CpuTests.Random(new Random(4), 1024);
        float[] y = Reference(w, x, 1);
        ushort[] weights = QmoeFixture.Decode(w);
        double error = 0, power = 0;
        for (int row = 0; row < 64; row++)
        {
            double exact = 0;
            for (int i = 0; i < 1024; i++)
                exact += (double)QmoeFixture.Widen(weights[(row * 1024) + i]) * x[i];
            error += (y[row] - exact) * (y[row] - exact);
            power += exact * exact;
        }

        Assert.InRange(Math.Sqrt(error / power), 1e-5, .01);
    }

    [Fact]
    public void Forward_OneWrongColumn_Shows()
    {
        QmoeMatrix w = QmoeFixture.RandomMatrix(64, 128, 5);
        using TernaryTileMatrix tiles = TernaryTileMatrix.From(w);
        using NativeFloats x = new(CpuTests.Random(new Random(6), 128));
        float[] right = Reference(w, x.Span, 1);
        byte* first = tiles.View.Data + tiles.Shape.TableBytes;
        byte* code = new TernaryTile(first).Codes;
        *code ^= 1;
        CpuTests.AtEveryLevel(level => Assert.NotEqual(right, Run(tiles.View, x, 1)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Experts_AnyRouting_EqualTheirMatricesOneByOne(bool gated)
    {
        const int Hidden = 150, Inner = 90, Slots = 57;
        Activation activation = new(gated ? ActivationKind.Silu : ActivationKind.Relu, gated);
        int[] offsets = [0, 1, 1, 41, 46, Slots];
        QmoeMatrix[] up = [.. Enumerable.Range(0, 5).Select(i => QmoeFixture.RandomMatrix(Inner, Hidden, i))];
        QmoeMatrix[] gate = [.. Enumerable.Range(0, 5).Select(i => QmoeFixture.RandomMatrix(Inner, Hidden, 10 + i))];
        float[] inputs = CpuTests.Random(new Random(1), Slots * Hidden);
        float[] expected = new float[Slots * Inner];
        for (int slot = 0; slot < Slots; slot++)
        {
            int expert = Enumerable.Range(0, 5).First(e => slot < offsets[e + 1]);
            float[] x = inputs[(slot * Hidden)..((slot + 1) * Hidden)];
            float[] u = Reference(up[expert], x, 1), g = Reference(gate[expert], x, 1);
            fixed (float* pu = u, pg = g)
            {
                if (gated)
                    Activations.ApplyGated(activation, pg, pu, pu, Inner);
                else
                    Activations.Apply(activation.Kind, pu, pu, Inner);
            }

            u.CopyTo(expected, slot * Inner);
        }

        TernaryTileMatrix[] ups = Array.ConvertAll(up, TernaryTileMatrix.From);
        TernaryTileMatrix[] gates = Array.ConvertAll(gate, TernaryTileMatrix.From);
        WeightMatrix[] upViews = Array.ConvertAll(ups, m => m.View), gateViews = Array.ConvertAll(gates, m => m.View);
        using NativeFloats xs = new(inputs);
        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats y = new(Slots * (Inner + 3));
            fixed (WeightMatrix* u = upViews, g = gateViews)
            fixed (int* first = offsets)
            {
                GroupedGemm.GateUp(
                    pool, activation, gated ? g : null, u, null, null, 5, first, xs.Pointer, Hidden, y.Pointer,
                    Inner + 3);
            }

            return y.Rows(Slots, Inner, Inner + 3);
        });
        Array.ForEach(ups, m => m.Dispose());
        Array.ForEach(gates, m => m.Dispose());
    }

    private static void Check(int rows, int columns, int tokens, int seed) =>
        Check(
            QmoeFixture.RandomMatrix(rows, columns, seed), CpuTests.Random(new Random(seed), tokens * columns), tokens);

    private static void Check(QmoeMatrix w, float[] x, int tokens)
    {
        float[] bias = CpuTests.Random(new Random(7), w.Rows);
        float[] expected = Reference(w, x, tokens);
        for (int i = 0; i < expected.Length; i++)
            expected[i] += bias[i % w.Rows];
        using TernaryTileMatrix tiles = TernaryTileMatrix.From(w);
        using NativeFloats inputs = new(x), biases = new(bias);
        CpuTests.AssertBits(expected, pool =>
        {
            using NativeFloats y = new(tokens * (w.Rows + 5));
            Linear.Forward(
                pool, tiles.View, biases.Pointer, inputs.Pointer, w.Columns, tokens, y.Pointer, w.Rows + 5);
            return y.Rows(tokens, w.Rows, w.Rows + 5);
        });
    }

    private static float[] Run(WeightMatrix w, NativeFloats x, int tokens)
    {
        using WorkerPool pool = new(1);
        using NativeFloats y = new(tokens * w.Rows);
        Linear.Forward(pool, w, null, x.Pointer, w.Columns, tokens, y.Pointer, w.Rows);
        return [.. y.Span];
    }

    private static float[] Reference(QmoeMatrix w, ReadOnlySpan<float> x, int tokens)
    {
        var y = new float[tokens * w.Rows];
        for (int t = 0; t < tokens; t++)
            TernaryTileReference.Forward(w, x.Slice(t * w.Columns, w.Columns), y.AsSpan(t * w.Rows, w.Rows));
        return y;
    }
}
