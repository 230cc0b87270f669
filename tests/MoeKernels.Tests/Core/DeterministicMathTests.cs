namespace MoeKernels.Tests.Core;

public class DeterministicMathTests
{
    [Fact]
    public void Exp_WholeRange_IsWithinTwoUlp()
    {
        for (float x = -87f; x < 88.7f; x += 0.0137f)
        {
            double exact = Math.Exp(x);
            Assert.InRange(DeterministicMath.Exp(x), exact * (1 - 1.5e-7), exact * (1 + 1.5e-7));
        }
    }

    [Fact]
    public void Exp_Ends_AreExact()
    {
        Assert.Equal(1f, DeterministicMath.Exp(0f));
        Assert.Equal(0f, DeterministicMath.Exp(-104f));
        Assert.Equal(0f, DeterministicMath.Exp(float.NegativeInfinity));
        Assert.Equal(float.PositiveInfinity, DeterministicMath.Exp(89f));
        Assert.Equal(float.PositiveInfinity, DeterministicMath.Exp(float.PositiveInfinity));
        Assert.True(float.IsNaN(DeterministicMath.Exp(float.NaN)));
    }

    [Theory]
    [InlineData(0f, 0)]
    [InlineData(1f, 0.8413447460685429)]
    [InlineData(-1f, -0.15865525393145705)]
    [InlineData(2f, 1.9544997361036416)]
    [InlineData(-3f, -0.0040496940948903)]
    [InlineData(30f, 30)]
    public void Gelu_KnownValues_AreMet(float x, double expected) =>
        Assert.InRange(DeterministicMath.Gelu(x) - expected, -3e-7 * Math.Abs(expected), 3e-7 * Math.Abs(expected));

    [Theory]
    [InlineData(-9f)]
    [InlineData(-0.1f)]
    [InlineData(0f)]
    [InlineData(0.7f)]
    [InlineData(12f)]
    public void TanhAndSigmoid_AgreeWithDoublePrecision(float x)
    {
        Assert.Equal(Math.Tanh(x), DeterministicMath.Tanh(x), 2e-7);
        Assert.Equal(1 / (1 + Math.Exp(-x)), DeterministicMath.Sigmoid(x), 2e-7);
    }

    [Fact]
    public void ReferenceDot_Order_IsSixteenSumsAndATree()
    {
        // 2²⁴ + 1 rounds to 2²⁴: the ones survive only when they are summed apart from the large value.
        float[] weights = new float[33];
        weights[0] = 16777216f;
        weights[16] = 1f;
        weights[32] = 1f;
        weights[8] = 2f;
        float[] ones = new float[33];
        Array.Fill(ones, 1f);
        unsafe
        {
            fixed (float* w = weights, x = ones)
                Assert.Equal(16777218f, ReferenceDot.Row(new WeightMatrix(WeightFormat.F32, w, 1, 33, 132), 0, x));
        }
    }
}
