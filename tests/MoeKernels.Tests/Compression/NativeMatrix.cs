using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression;

/// <summary>A matrix of floats with gaps between its rows, which hold NaN.</summary>
internal sealed unsafe class NativeMatrix : IDisposable
{
    private readonly NativeBuffer _buffer;

    public NativeMatrix(int rows, int columns, int gap = 0)
    {
        (Rows, Columns, Stride) = (rows, columns, columns + gap);
        _buffer = NativeBuffer.Allocate((long)Math.Max(rows, 1) * Stride * sizeof(float), "a test matrix");
        new Span<float>(Data, rows * Stride).Fill(float.NaN);
    }

    public int Rows { get; }

    public int Columns { get; }

    public int Stride { get; }

    public float* Data => (float*)_buffer.Pointer;

    public MatrixView View => new(Data, Stride);

    public ref float this[int row, int column] => ref Data[(row * Stride) + column];

    public static NativeMatrix Normal(int rows, int columns, int seed, int gap = 0)
    {
        NativeMatrix matrix = new(rows, columns, gap);
        Random random = new(seed);
        matrix.Fill((_, _) => Gauss(random));
        return matrix;
    }

    /// <summary>Moments of inputs with strong correlations: eigenvalues fall from 1 to about 1/n.</summary>
    public static NativeMatrix Moments(int n, int seed, int tokens = 0)
    {
        tokens = tokens == 0 ? 2 * n : tokens;
        Random random = new(seed);
        double[,] x = new double[tokens, n];
        for (int t = 0; t < tokens; t++)
        {
            double walk = Gauss(random);
            for (int k = 0; k < n; k++)
            {
                walk = (0.8 * walk) + (0.6 * Gauss(random));
                x[t, k] = walk * (1 + (k % 7 == 3 ? 2 : 0));
            }
        }

        NativeMatrix h = new(n, n);
        h.Fill((i, j) =>
        {
            double sum = 0;
            for (int t = 0; t < tokens; t++)
                sum += x[t, i] * x[t, j];
            return (float)(sum / tokens);
        });
        return h;
    }

    public void Fill(Func<int, int, float> value)
    {
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
                this[i, j] = value(i, j);
        }
    }

    public double[,] ToDouble()
    {
        double[,] copy = new double[Rows, Columns];
        for (int i = 0; i < Rows; i++)
        {
            for (int j = 0; j < Columns; j++)
                copy[i, j] = this[i, j];
        }

        return copy;
    }

    public static float Gauss(Random random) => (float)(
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));

    public void Dispose() => _buffer.Dispose();
}
