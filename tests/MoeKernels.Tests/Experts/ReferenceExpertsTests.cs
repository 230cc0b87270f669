using MoeKernels.Experts;
using MoeKernels.Router;

namespace MoeKernels.Tests.Experts;

public unsafe class ReferenceExpertsTests
{
    [Theory]
    [InlineData(ActivationKind.Silu, 1.5f, 1.2263617)]
    [InlineData(ActivationKind.Relu, 1.5f, 1.5)]
    [InlineData(ActivationKind.Relu, -1.5f, 0)]
    [InlineData(ActivationKind.Gelu, 1.5f, 1.3997892)]
    [InlineData(ActivationKind.Gelu, -0.5f, -0.1542688)]
    [InlineData(ActivationKind.GeluTanh, 1.5f, 1.3995715)]
    public void Activate_Ungated_IsTheFunctionOfUp(ActivationKind kind, float up, double expected) =>
        Assert.Equal(expected, ReferenceExperts.Activate(new Activation(kind, Gated: false), 9f, up), 1e-6);

    [Fact]
    public void Activate_Gated_MultipliesTheFunctionOfTheGateByUp() =>
        Assert.Equal(-2 * 1.2263617, ReferenceExperts.Activate(Activation.SiluGated, 1.5f, -2f), 1e-6);

    [Theory]
    [InlineData(2f, 1f)]
    [InlineData(9f, 20f)]
    [InlineData(-9f, -20f)]
    public void Activate_GptOss_ClampsGateAboveAndUpOnBothSides(float gate, float up)
    {
        double g = Math.Min(gate, 7);
        double u = Math.Clamp(up, -7, 7);
        double expected = (u + 1) * g / (1 + Math.Exp(-1.702 * g));
        var activation = new Activation(ActivationKind.ClampedSwiGlu, Gated: true);
        Assert.Equal(expected, ReferenceExperts.Activate(activation, gate, up), 1e-5);
    }

    [Fact]
    public void Create_InterleavedRows_AreTheConcatenatedOnesInAnotherOrder()
    {
        var concatenated = Spec(GateUpOrder.Concatenated);
        const int Rows = 6;
        float[] gateUp = Values(1, 2 * Rows * 4);
        float[] down = Values(2, 2 * 4 * 3);
        float[] gateUpBias = Values(3, 2 * Rows);
        float[] downBias = Values(4, 2 * 4);
        using var first = ExpertWeights.Create(concatenated, gateUp, down, gateUpBias, downBias);
        using var second = ExpertWeights.Create(
            Spec(GateUpOrder.Interleaved), Interleave(gateUp, 3, 4), down, Interleave(gateUpBias, 3, 1), downBias);
        float[] x = Values(5, 4);
        for (int expert = 0; expert < 2; expert++)
            Assert.Equal(Forward(first, expert, x), Forward(second, expert, x));
    }

    [Fact]
    public void Create_BF16_IsExactlyTheWidenedWeights()
    {
        var spec = Spec(GateUpOrder.Concatenated);
        ushort[] gateUp = [.. Values(1, 48).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))];
        ushort[] down = [.. Values(2, 24).Select(value => (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16))];
        static float[] Widen(ushort[] bits) => [.. bits.Select(b => BitConverter.UInt32BitsToSingle((uint)b << 16))];
        using var narrow = ExpertWeights.Create(spec, gateUp, down);
        using var wide = ExpertWeights.Create(spec, Widen(gateUp), Widen(down));
        float[] x = Values(5, 4);
        Assert.Equal(Forward(wide, 1, x), Forward(narrow, 1, x));
    }

    [Fact]
    public void Create_WrongLength_NamesTheMatrixAndItsShape()
    {
        var error = Assert.Throws<ArgumentException>(
            () => ExpertWeights.Create(Spec(GateUpOrder.Concatenated), new float[47], new float[24]));
        Assert.Contains("gate and up must be [2, 6, 4]", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(
            () => ExpertWeights.Create(Spec(GateUpOrder.Concatenated), new float[48], new float[24], new float[12]));
    }

    [Fact]
    public void Borrow_Owner_IsDisposedOnceWhenTheLastUserLeaves()
    {
        var owner = new Owner();
        fixed (float* gateUp = new float[48], down = new float[24])
        {
            var weights = ExpertWeights.Borrow(
                Spec(GateUpOrder.Concatenated), WeightFormat.F32, gateUp, down, owner: owner);
            using (weights.Acquire())
            {
                weights.Dispose();
                weights.Dispose();
                Assert.Equal(0, owner.Disposed);
            }

            Assert.Equal(1, owner.Disposed);
            Assert.Throws<ObjectDisposedException>(() => weights.Acquire().Dispose());
        }
    }

    [Fact]
    public void Borrow_FormatWithScales_IsRefusedWithoutThem()
    {
        byte data = 0;
        byte* pointer = &data;
        Assert.Throws<ArgumentException>(
            () => ExpertWeights.Borrow(Spec(GateUpOrder.Concatenated), WeightFormat.MxFp4, pointer, pointer));
    }

    internal static float[] Forward(ExpertWeights weights, int expert, float[] x)
    {
        float[] y = new float[weights.Hidden];
        Array.Fill(y, float.NaN);
        fixed (float* input = x, output = y)
            ReferenceExperts.Forward(weights.Matrices, expert, input, output);
        return y;
    }

    private static MoeLayerSpec Spec(GateUpOrder order) =>
        new(RouterSpec.Mixtral(2, 1), 4, 3) { GateUpOrder = order };

    private static float[] Values(int seed, int count)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
    }

    /// <summary>[2, 2 I, width] with row i of gate and of up next to each other.</summary>
    private static float[] Interleave(float[] rows, int intermediate, int width)
    {
        var result = new float[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            int row = i / width % (2 * intermediate);
            int expert = i / width / (2 * intermediate);
            int place = (2 * (row % intermediate)) + (row / intermediate);
            result[(((expert * 2 * intermediate) + place) * width) + (i % width)] = rows[i];
        }

        return result;
    }

    private sealed class Owner : IDisposable
    {
        public int Disposed { get; private set; }

        public void Dispose() => Disposed++;
    }
}
