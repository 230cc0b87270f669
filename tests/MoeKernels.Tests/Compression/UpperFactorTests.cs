using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression;

public unsafe class UpperFactorTests
{
    public static TheoryData<int> Sizes => [1, 3, 17, 32, 33, 64, 127, 300];

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Factor_Moments_TimesItsTransposeIsTheMatrix(int n)
    {
        using Scratch scratch = new();
        using NativeMatrix h = NativeMatrix.Moments(n, n), m = Factored(h, scratch);
        double[,] factor = Upper(m);
        double scale = Enumerable.Range(0, n).Max(i => h[i, i]);
        for (int i = 0; i < n; i++)
        {
            for (int j = i; j < n; j++)
            {
                double sum = 0;
                for (int k = j; k < n; k++)
                    sum += factor[i, k] * factor[j, k];
                Assert.True(Math.Abs(sum - h[i, j]) < 3e-6 * scale, $"{i},{j}: {sum} and {h[i, j]}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Invert_Factor_IsGptqsFactorOfTheInverse(int n)
    {
        using Scratch scratch = new();
        using NativeMatrix h = NativeMatrix.Moments(n, n + 1), m = Factored(h, scratch);
        double[,] factor = Upper(m);
        UpperFactor.Invert(m.Data, m.Stride, n, scratch);
        double[,] inverse = Upper(m);
        for (int i = 0; i < n; i++)
        {
            for (int j = i; j < n; j++)
            {
                double sum = 0;
                for (int k = i; k <= j; k++)
                    sum += factor[i, k] * inverse[k, j];
                Assert.Equal(i == j ? 1 : 0, sum, 2e-4);
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(33, 3)]
    [InlineData(300, 17)]
    [InlineData(127, 127)]
    public void Solves_ThenProduct_GiveTheRightSides(int n, int rows)
    {
        using Scratch scratch = new();
        using NativeMatrix h = NativeMatrix.Moments(n, 5), m = Factored(h, scratch);
        using NativeMatrix b = NativeMatrix.Normal(rows, n, 7, 3), x = NativeMatrix.Normal(rows, n, 7, 3);
        UpperFactor.SolveTransposed(x.Data, x.Stride, rows, m.Data, m.Stride, n, scratch);
        UpperFactor.Solve(x.Data, x.Stride, rows, m.Data, m.Stride, n, scratch);
        double largest = x.ToDouble().Cast<double>().Max(Math.Abs);
        double scale = Enumerable.Range(0, n).Max(i => h[i, i]) * largest;
        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int k = 0; k < n; k++)
                    sum += (double)x[i, k] * h[k, j];
                Assert.True(Math.Abs(sum - b[i, j]) < 1e-5 * scale, $"{i},{j}: {sum} and {b[i, j]}");
            }
        }
    }

    [Theory]
    [InlineData(300, 0)]
    [InlineData(300, 131)]
    [InlineData(300, 299)]
    [InlineData(17, 5)]
    public void Factor_NegativePivot_NamesItsRow(int n, int row)
    {
        using Scratch scratch = new();
        using NativeMatrix h = NativeMatrix.Moments(n, 2), m = new(n, n);
        h[row, row] = -1;
        m.Fill((i, j) => h[i, j]);
        Assert.Equal(row, UpperFactor.Factor(m.Data, n, n, scratch));
    }

    [Fact]
    public void Factor_SingularOrNotFinite_IsRefused()
    {
        using Scratch scratch = new();
        using NativeMatrix zero = new(40, 40), nan = NativeMatrix.Moments(40, 1);
        zero.Fill((i, j) => i == 7 || j == 7 ? 0 : i == j ? 1 : 0);
        nan[3, 20] = float.NaN;
        Assert.Equal(7, UpperFactor.Factor(zero.Data, 40, 40, scratch));
        Assert.Equal(3, UpperFactor.Factor(nan.Data, 40, 40, scratch));
    }

    private static NativeMatrix Factored(NativeMatrix h, Scratch scratch)
    {
        // NaN below the diagonal shows that nothing reads it.
        NativeMatrix m = new(h.Rows, h.Rows, gap: 3);
        m.Fill((i, j) => j < i ? float.NaN : h[i, j]);
        Assert.Equal(-1, UpperFactor.Factor(m.Data, m.Stride, h.Rows, scratch));
        return m;
    }

    private static double[,] Upper(NativeMatrix m)
    {
        double[,] upper = m.ToDouble();
        for (int i = 0; i < m.Rows; i++)
        {
            for (int j = 0; j < i; j++)
                upper[i, j] = 0;
        }

        return upper;
    }
}
