using MoeKernels.Compression;
using MoeKernels.Packed;

namespace MoeKernels.Tests.Compression;

public unsafe class CodebookQuantizerTests
{
    [Theory]
    [InlineData(8, 1, 20, 264)]
    [InlineData(4, 2, 5, 32)]
    [InlineData(16, 1, 33, 160)]
    [InlineData(6, 3, 16, 150)]
    [InlineData(1, 1, 3, 7)]
    public void Gptq_SameVectors_ChoosesWhatThePlainAlgorithmChooses(int d, int stages, int rows, int columns)
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(rows, columns, d), h = NativeMatrix.Moments(columns, stages);
        using VectorBook book = RandomBook(d, stages);
        float[] ones = Ones(columns);
        using DampedFactor factor = DampedFactor.Create(h.Data, columns, ones, 0.1f, scratch);
        using NativeMatrix error = new(rows, columns);
        NormalizedRows.TimesFactor(w.Data, rows, factor, error.Data, scratch);
        byte[] codes = new byte[rows * book.Groups(columns) * stages];
        fixed (byte* first = codes)
            VectorGptq.Run(factor, book, beams: 1, error.Data, rows, first, scratch);

        double[,] damped = h.ToDouble();
        for (int i = 0; i < columns; i++)
            damped[i, i] += factor.Damping;
        (byte[] expected, double[,] q) = PlainVectorGptq.Run(
            w.ToDouble(), damped, book.Numbers.ToArray(), d, stages);

        // A tie that rounding decides differently changes the rest of its row, so a few codes may differ.
        int same = codes.Zip(expected, (a, b) => a == b ? 1 : 0).Sum();
        Assert.True(same >= 0.97 * codes.Length, $"{same} of {codes.Length} codes");
        double loss = PlainVectorGptq.Loss(w.ToDouble(), q, damped);
        double own = error.ToDouble().Cast<double>().Sum(e => e * e);
        Assert.True(Math.Abs((own / loss) - 1) < 0.01, $"own {own}, plain {loss}");
    }

    [Theory]
    [InlineData(8, 1, 100)]
    [InlineData(5, 1, 64)]
    [InlineData(16, 1, 50)]
    [InlineData(8, 3, 50)]
    public void Quantize_AnyShape_ReportsTheErrorOfWhatItWrites(int d, int stages, int columns)
    {
        using Scratch scratch = new();
        const int Rows = 70;
        using NativeMatrix w = NativeMatrix.Normal(Rows, columns, 4), h = NativeMatrix.Moments(columns, 5);
        CodebookOptions options = new(d, stages) { InitialVectors = 2000 };
        TrainedCodebook trained = Train(w, h, options, scratch);
        using DampedFactor factor = DampedFactor.Create(
            h.Data, columns, trained.InputScales, options.Damping, scratch, d);
        QuantizedMatrix matrix = CodebookQuantizer.Quantize(w.Data, Rows, factor, trained, scratch);

        double[,] q = Unpack(matrix, trained);
        double[,] wanted = w.ToDouble(), moments = h.ToDouble();
        double energy = PlainVectorGptq.Loss(wanted, new double[Rows, columns], moments);
        Assert.Equal(1, matrix.Energy / energy, 1e-3);
        Assert.Equal(1, matrix.Error / PlainVectorGptq.Loss(wanted, q, moments), 1e-2);
        Assert.InRange(matrix.Error / energy, 0, 0.9);
        for (int r = 0; r < Rows; r++)
            Assert.Equal(1, Cross(wanted, q, moments, r) / Cross(wanted, wanted, moments, r), 5e-3);
    }

    [Fact]
    public void Quantize_NoMoments_IsRoundingToTheNearestVectors()
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(17, 40, 9);
        using VectorBook book = RandomBook(8, 1);
        using DampedFactor factor = DampedFactor.Create(null, 40, Ones(40), 0.1f, scratch, 8);
        using NativeMatrix error = new(17, 40);
        NormalizedRows.TimesFactor(w.Data, 17, factor, error.Data, scratch);
        byte[] codes = new byte[17 * 5];
        fixed (byte* first = codes)
            VectorGptq.Run(factor, book, beams: 1, error.Data, 17, first, scratch);
        for (int i = 0; i < codes.Length; i++)
            Assert.Equal(NearestDistance(book, w, i), Distance(book, w, i, codes[i]), 1e-4);
    }

    [Fact]
    public void Quantize_RowsOfZerosAndOfTinyWeights_KeepTheirScales()
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(70, 64, 4), h = NativeMatrix.Moments(64, 5);
        w.Fill((i, j) => i == 3 ? 0 : w[i, j] * 1e-7f);
        TrainedCodebook trained = Train(w, h, new(8, 1) { InitialVectors = 2000 }, scratch);
        using DampedFactor factor = DampedFactor.Create(h.Data, 64, trained.InputScales, 0.1f, scratch, 8);
        QuantizedMatrix matrix = CodebookQuantizer.Quantize(w.Data, 70, factor, trained, scratch);
        Assert.Equal(0, matrix.Scales[3]);
        Assert.All(matrix.Scales, bits => Assert.True(CodebookMatrix.IsScale(bits)));
        Assert.InRange(matrix.Error / matrix.Energy, 0, 0.3);
    }

    [Fact]
    public void Quantize_WhiteWeightsAtOneBit_LiesBetweenTheShannonBoundAndAScalarSign()
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(256, 256, 21), h = new(256, 256);
        h.Fill((i, j) => i == j ? 1 : 0);
        TrainedCodebook trained = Train(w, h, new(8, 1), scratch);
        using DampedFactor factor = DampedFactor.Create(null, 256, trained.InputScales, 0.1f, scratch, 8);
        QuantizedMatrix matrix = CodebookQuantizer.Quantize(w.Data, 256, factor, trained, scratch);

        // Mean square error e costs e / (1 - e) once the row gain is restored: 1/4 at the bound, 1 - 2/π for a sign.
        Assert.InRange(matrix.Error / matrix.Energy, 0.25 / 0.75, (1 - (2 / Math.PI)) / (2 / Math.PI));
    }

    [Theory]
    [InlineData(8, 1, 44)]
    [InlineData(6, 2, 20)]
    public void Gptq_LastGroupPastTheColumns_IgnoresWhatMemoryHeld(int d, int stages, int columns)
    {
        const int Rows = 20;
        using NativeMatrix w = NativeMatrix.Normal(Rows, columns, d), h = NativeMatrix.Moments(columns, stages);
        using VectorBook book = RandomBook(d, stages);
        byte[][] codes = Array.ConvertAll([0f, 30f, float.NaN], filling =>
        {
            using Scratch scratch = new();
            using DampedFactor factor = DampedFactor.Create(h.Data, columns, Ones(columns), 0.1f, scratch);
            using NativeMatrix error = new(Rows, columns);
            NormalizedRows.TimesFactor(w.Data, Rows, factor, error.Data, scratch);
            using (scratch.Begin())
                new Span<float>(scratch.Floats(1 << 20), 1 << 20).Fill(filling);
            byte[] chosen = new byte[Rows * book.Groups(columns) * stages];
            fixed (byte* first = chosen)
                VectorGptq.Run(factor, book, beams: 4, error.Data, Rows, first, scratch);
            return chosen;
        });
        Assert.Equal(codes[0], codes[1]);
        Assert.Equal(codes[0], codes[2]);
    }

    [Fact]
    public void Quantize_MoreBeams_LoseLess()
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(128, 256, 22), h = NativeMatrix.Moments(256, 23);
        TrainedCodebook trained = Train(w, h, new(8, 1), scratch);
        using DampedFactor factor = DampedFactor.Create(h.Data, 256, trained.InputScales, 0.1f, scratch, 8);
        double[] errors = [.. new[] { 1, 2, 4 }.Select(
            beams => CodebookQuantizer.Quantize(w.Data, 128, factor, trained, scratch, beams).Error)];
        Assert.True(errors[1] < 0.99 * errors[0] && errors[2] < 0.99 * errors[1], string.Join(' ', errors));
    }

    [Theory]
    [InlineData(64, 8)]
    [InlineData(50, 16)]
    [InlineData(7, 16)]
    public void Factor_Groups_AreOrderedByTheirDiagonal(int columns, int size)
    {
        using Scratch scratch = new();
        using NativeMatrix h = NativeMatrix.Moments(columns, 6);
        float[] scales = [.. Enumerable.Range(0, columns).Select(k => 1 + (k % 3 * 0.5f))];
        using DampedFactor factor = DampedFactor.Create(h.Data, columns, scales, 0.1f, scratch, size);
        double[] sums = [.. factor.Order.ToArray().Take(columns / size).Select(group => Enumerable.Range(0, size).Sum(
            k => (double)h[(group * size) + k, (group * size) + k] * Math.Pow(scales[(group * size) + k], 2)))];
        Assert.Equal(sums.OrderDescending(), sums);
        if (columns % size != 0)
            Assert.Equal(columns / size, factor.Order[^1]);

        int[] column = [.. factor.Order.ToArray().SelectMany(
            group => Enumerable.Range(group * size, Math.Min(size, columns - (group * size))))];
        for (int i = 0; i < columns; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double product = Enumerable.Range(0, columns).Sum(
                    k => (double)factor.Data[(i * columns) + k] * factor.Data[(j * columns) + k]);
                double wanted = (double)h[column[i], column[j]] * scales[column[i]] * scales[column[j]];
                Assert.Equal(wanted + (i == j ? factor.Damping : 0), product, 1e-3);
            }
        }
    }

    [Fact]
    public void Quantize_NotFinite_Throws()
    {
        using Scratch scratch = new();
        using NativeMatrix w = NativeMatrix.Normal(4, 64, 4), h = NativeMatrix.Moments(64, 5);
        TrainedCodebook trained = Train(w, h, new(8, 1) { InitialVectors = 500 }, scratch);
        using DampedFactor factor = DampedFactor.Create(h.Data, 64, trained.InputScales, 0.1f, scratch, 8);
        w[2, 5] = float.NaN;
        Assert.Throws<MoeNonFiniteException>(
            () => CodebookQuantizer.Quantize(w.Data, 4, factor, trained, scratch));
        h[7, 9] = float.PositiveInfinity;
        Assert.Throws<MoeNonFiniteException>(() => DampedFactor.Create(h.Data, 64, [], 0.1f, scratch));
    }

    [Fact]
    public void DenseTarget_OutputsOfTheSameInputs_IsTheMatrixItself()
    {
        using Scratch scratch = new();
        const int K = 130, Rows = 20;
        using NativeMatrix w = NativeMatrix.Normal(Rows, K, 1), h = NativeMatrix.Moments(K, 3), g = new(Rows, K);
        g.Fill((r, k) => (float)Enumerable.Range(0, K).Sum(i => (double)w[r, i] * h[i, k]));
        using DampedFactor factor = DampedFactor.Create(h.Data, K, [], DenseTarget.Damping, scratch);
        DenseTarget.Solve(factor, w.Data, g.Data, Rows, scratch);
        for (int r = 0; r < Rows; r++)
        {
            for (int k = 0; k < K; k++)
                Assert.Equal(w[r, k], g[r, k], 1e-4);
        }
    }

    internal static TrainedCodebook Train(NativeMatrix w, NativeMatrix h, CodebookOptions options, Scratch scratch)
    {
        double[] diagonal = [.. Enumerable.Range(0, w.Columns).Select(k => (double)h[k, k])];
        double size = Math.Sqrt(w.ToDouble().Cast<double>().Average(x => x * x));
        float[] scales = InputScaling.Choose(diagonal, options.InputExponent, size);
        return CodebookTrainer.Train(
            [new(w.Data, w.Rows, h.Data)], scales, options, scratch, TestContext.Current.CancellationToken);
    }

    /// <summary>What the kernels read: packed codes through the reference, times the input scales.</summary>
    private static double[,] Unpack(QuantizedMatrix matrix, TrainedCodebook trained)
    {
        byte[] packed = new byte[matrix.Shape.CodeBytes];
        CodebookMatrix.Pack(matrix.Shape, matrix.Codes, packed);
        using Codebook codebook = new(trained.Dimension, trained.Stages, trained.Vectors);
        double[,] q = new double[matrix.Shape.Rows, matrix.Shape.Columns];
        float[] row = new float[matrix.Shape.Columns];
        fixed (byte* codes = packed)
        fixed (ushort* scales = matrix.Scales)
        {
            CodebookMatrix view = new(matrix.Shape, codes, scales);
            for (int r = 0; r < matrix.Shape.Rows; r++)
            {
                CodebookReference.Unpack(view, codebook, r, row);
                for (int k = 0; k < row.Length; k++)
                    q[r, k] = (double)row[k] * trained.InputScales[k];
            }
        }

        return q;
    }

    private static double Cross(double[,] w, double[,] q, double[,] h, int row)
    {
        double sum = 0;
        for (int i = 0; i < w.GetLength(1); i++)
        {
            for (int j = 0; j < w.GetLength(1); j++)
                sum += w[row, i] * h[i, j] * q[row, j];
        }

        return sum;
    }

    private static double NearestDistance(VectorBook book, NativeMatrix w, int group) =>
        Enumerable.Range(0, 256).Min(code => Distance(book, w, group, code));

    private static double Distance(VectorBook book, NativeMatrix w, int group, int code)
    {
        double sum = 0;
        for (int k = 0; k < book.Dimension; k++)
        {
            double number = book.Vector(0, code & 127)[k] * (code < 128 ? 1 : -1);
            sum += Math.Pow(w.Data[(group * book.Dimension) + k] - number, 2);
        }

        return sum;
    }

    private static VectorBook RandomBook(int dimension, int stages)
    {
        Random random = new(1000 + dimension);
        VectorBook book = new(dimension, stages);
        for (int i = 0; i < book.Length; i++)
            book.Numbers[i] = NativeMatrix.Gauss(random) / (1 + (2 * (i / (128 * dimension))));
        return book;
    }

    private static float[] Ones(int count)
    {
        float[] ones = new float[count];
        Array.Fill(ones, 1);
        return ones;
    }
}
