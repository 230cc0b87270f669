using CsCheck;
using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression.Scalar;

public class ScalarQuantizerTests
{
    private static readonly Gen<(int Seed, int Rows, int Columns, int Kind)> Matrices = Gen.Select(
        Gen.Int, Gen.Int[1, 50], Gen.Int[1, 300], Gen.Int[0, 5]);

    [Fact]
    public void Quantize_WithoutTokens_RoundsEveryWeightToTheNearestValue() => Matrices.Sample(
        m =>
        {
            float[] weights = Normal(m.Seed, m.Rows * m.Columns);
            ScalarOptions options = Options(m.Kind);
            var run = new ScalarRun(weights, m.Rows, m.Columns, null, options);
            float[] values = run.Values();
            for (int i = 0; i < weights.Length; i++)
            {
                int inRow = options.GroupSize > 0 ? i % m.Columns / options.GroupSize : 0;
                int group = (i / m.Columns * run.Groups) + inRow;
                double best = Enumerable.Range(0, options.Grid.Codes).Min(code =>
                    Math.Abs(options.Grid.Value((byte)code, run.Scales[group], run.Zeros[group]) - weights[i]));
                Assert.True(Math.Abs(values[i] - weights[i]) <= best + 1e-5, $"weight {i} is {weights[i]}");
            }
        },
        iter: 30);

    [Fact]
    public void Quantize_OddShapes_AgreesWithPlainLoops() => Matrices.Sample(
        m =>
        {
            (int rows, int columns) = (m.Rows, Math.Min(m.Columns, 90));
            float[] weights = Normal(m.Seed, rows * columns);
            float[] hessian = RandomHessian(m.Seed, columns, 2 * columns);
            ScalarOptions options = Options(m.Kind) with { BlockColumns = 32, GroupSize = ScalarOptions.WholeRow };
            var run = new ScalarRun(weights, rows, columns, hessian, options);
            byte[] expected = PlainGptq.Codes(weights, rows, columns, hessian, options.Damping, run);

            // Half-way cases may fall either way in single precision, and then the rest of their row follows.
            int differentRows = Enumerable.Range(0, rows).Count(row =>
                !expected.AsSpan(row * columns, columns).SequenceEqual(run.Codes.AsSpan(row * columns, columns)));
            Assert.True(differentRows <= 1 + (rows / 10), $"{differentRows} of {rows} rows differ");
        },
        iter: 20);

    [Fact]
    public void Quantize_OtherDamping_GivesOtherCodes()
    {
        float[] weights = Normal(1, 20 * 70);
        float[] hessian = RandomHessian(1, 70, 100);
        ScalarOptions options = ScalarOptions.Qmoe;
        var run = new ScalarRun(weights, 20, 70, hessian, options);
        byte[] faulty = PlainGptq.Codes(weights, 20, 70, hessian, options.Damping * 2, run);
        Assert.NotEqual(faulty, run.Codes);
    }

    [Fact]
    public void Quantize_SharedFactor_GivesTheSameAsItsOwn()
    {
        float[] gate = Normal(3, 33 * 40), up = Normal(4, 33 * 40);
        float[] hessian = RandomHessian(5, 40, 50);
        var own = new ScalarRun(up, 33, 40, hessian, ScalarOptions.Qmoe);
        _ = new ScalarRun(gate, 33, 40, hessian, ScalarOptions.Qmoe);
        Assert.Equal(own.Codes, new ScalarRun(up, 33, 40, hessian, ScalarOptions.Qmoe).Codes);
    }

    [Fact]
    public void Quantize_QmoeLevels_AreBf16()
    {
        var run = new ScalarRun(Normal(7, 5 * 64), 5, 64, null, ScalarOptions.Qmoe);
        Assert.All(run.Scales.Concat(run.Zeros), level => Assert.Equal(BFloat16.Round(level), level));
    }

    [Fact]
    public void Quantize_ActOrder_TakesTheLargestDiagonalFirst()
    {
        float[] hessian = RandomHessian(2, 30, 60);
        var run = new ScalarRun(Normal(2, 30), 1, 30, hessian, ScalarOptions.Qmoe with { ActOrder = true });
        float[] diagonal = [.. run.Order.Select(i => hessian[i * 31])];
        Assert.Equal(diagonal.OrderDescending(), diagonal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Quantize_BadWeight_Throws(float bad)
    {
        float[] weights = Normal(1, 40);
        weights[17] = bad;
        Assert.Throws<MoeNonFiniteException>(() => new ScalarRun(weights, 4, 10, null, ScalarOptions.Qmoe));
    }

    [Fact]
    public void Factor_NonFiniteHessian_FallsBack()
    {
        float[] hessian = RandomHessian(1, 10, 20);
        hessian[13] = hessian[31] = float.NaN;
        Assert.True(new ScalarRun(Normal(1, 40), 4, 10, hessian, ScalarOptions.Qmoe).FellBack);
    }

    [Fact]
    public void Factor_BadOrder_Throws() => Assert.Throws<ArgumentException>(
        () => new ScalarRun(Normal(1, 40), 4, 10, null, ScalarOptions.Qmoe, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]));

    [Fact]
    public void Options_BadValues_Throw()
    {
        Assert.ThrowsAny<ArgumentException>(() => (ScalarOptions.Qmoe with { Damping = float.NaN }).Validate());
        Assert.ThrowsAny<ArgumentException>(() => (ScalarOptions.Qmoe with { GroupSize = 0 }).Validate());
        Assert.ThrowsAny<ArgumentException>(() => (ScalarOptions.Qmoe with { BlockColumns = 0 }).Validate());
        Assert.ThrowsAny<ArgumentException>(() => ScalarGrid.Uniform(9));
    }

    private static ScalarOptions Options(int kind) => kind switch
    {
        0 => ScalarOptions.Qmoe,
        1 => new ScalarOptions(ScalarGrid.Ternary),
        _ => ScalarOptions.Integers(kind),
    };

    private static float[] Normal(int seed, int count)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            values[i] = (float)(radius * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        return values;
    }

    private static float[] RandomHessian(int seed, int columns, int tokens)
    {
        float[] inputs = Normal(seed + 1000, columns * tokens);
        var hessian = new float[columns * columns];
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                for (int t = 0; t < tokens; t++)
                    hessian[(i * columns) + j] += inputs[(t * columns) + i] * inputs[(t * columns) + j];
            }
        }

        return hessian;
    }
}
