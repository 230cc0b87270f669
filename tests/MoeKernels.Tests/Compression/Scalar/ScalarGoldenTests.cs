namespace MoeKernels.Tests.Compression.Scalar;

/// <summary>The quantiser against what the code of QMoE's authors computed.</summary>
public class ScalarGoldenTests
{
    public static TheoryData<string> Cases => [.. GptqFixture.Names()];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Quantizer_OnTheAuthorsInputs_GivesTheirCodesLevelsAndLoss(string name)
    {
        GptqFixture golden = GptqFixture.Load(name);
        byte[] codes = golden.Result<byte>("codes");
        byte[] stable = golden.Result<byte>("stable");
        float[] scales = golden.Result<float>("scale");
        float[] zeros = golden.Result<float>("zero");
        float[] losses = golden.Result<float>("loss");
        int equal = 0, failures = 0;
        for (int expert = 0; expert < golden.Experts; expert++)
        {
            ScalarRun run = Run(golden, expert);
            failures += run.FellBack ? 1 : 0;
            int first = expert * golden.Rows;
            for (int row = 0; row < golden.Rows; row++)
            {
                int same = Enumerable.Range(0, golden.Columns).Count(column =>
                    run.Codes[(row * golden.Columns) + column] == codes[((first + row) * golden.Columns) + column]);
                equal += same;
                if (stable[first + row] == 0)
                    continue;
                Assert.True(same == golden.Columns, $"expert {expert}, stable row {row}: {same} equal codes");
                AssertLevels(golden, run.Scales, scales, row, first);
                AssertLevels(golden, run.Zeros, zeros, row, first);
            }

            Assert.Equal(1, run.Loss / losses[expert], 1e-3);
            if (golden.LayerError(expert) is { } error)
                Assert.Equal(1, LayerError(golden, expert, run) / error, 1e-3);
        }

        Assert.Equal(golden.CholeskyFailures, failures);
        Assert.True(equal >= .989 * codes.Length, $"{equal} of {codes.Length} codes are equal");
    }

    private static ScalarRun Run(GptqFixture golden, int expert)
    {
        int[]? order = golden.HasOrder
            ? golden.Result<int>("order")[(expert * golden.Columns)..((expert + 1) * golden.Columns)]
            : null;
        return new ScalarRun(
            golden.Weights(expert), golden.Rows, golden.Columns, golden.Hessian(expert), golden.Options, order);
    }

    private static void AssertLevels(GptqFixture golden, float[] actual, float[] expected, int row, int firstRow)
    {
        int groups = golden.Options.Groups(golden.Columns);
        for (int group = 0; group < groups; group++)
        {
            float wanted = expected[((firstRow + row) * groups) + group];
            float found = actual[(row * groups) + group];
            if (groups == 1)
                Assert.Equal(wanted, found);
            else
                Assert.Equal(wanted, found, 1e-4f * Math.Max(1, Math.Abs(wanted)));
        }
    }

    /// <summary>Relative norm of the difference of the outputs.</summary>
    private static double LayerError(GptqFixture golden, int expert, ScalarRun run)
    {
        float[] inputs = golden.Inputs(expert)!;
        float[] weights = golden.Weights(expert);
        float[] values = run.Values();
        double difference = 0, total = 0;
        for (int t = 0; t < inputs.Length; t += golden.Columns)
        {
            for (int row = 0; row < weights.Length; row += golden.Columns)
            {
                double wanted = 0, found = 0;
                for (int i = 0; i < golden.Columns; i++)
                {
                    wanted += (double)inputs[t + i] * weights[row + i];
                    found += (double)inputs[t + i] * values[row + i];
                }

                difference += (wanted - found) * (wanted - found);
                total += wanted * wanted;
            }
        }

        return Math.Sqrt(difference / total);
    }
}
