using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression.Scalar;

/// <summary>One matrix rounded on managed arrays.</summary>
internal sealed class ScalarRun
{
    private readonly ScalarOptions _options;

    public ScalarRun(
        float[] weights, int rows, int columns, float[]? hessian, ScalarOptions options, int[]? order = null)
    {
        _options = options;
        (Rows, Columns, Groups) = (rows, columns, options.Groups(columns));
        Codes = new byte[rows * columns];
        Scales = new float[rows * Groups];
        Zeros = new float[rows * Groups];
        Array.Fill(Codes, (byte)0xEE);
        Array.Fill(Scales, float.NaN);
        unsafe
        {
            fixed (float* w = weights, h = hessian, scales = Scales, zeros = Zeros)
            fixed (byte* codes = Codes)
            {
                using var scratch = new Scratch();
                using ScalarFactor factor = ScalarFactor.Create(h, columns, options, scratch, order);
                FellBack = factor.FellBack;
                Order = factor.Order.ToArray();
                Loss = ScalarQuantizer.Quantize(w, rows, factor, options, scratch, codes, scales, zeros);
            }
        }
    }

    public int Rows { get; }

    public int Columns { get; }

    public int Groups { get; }

    public byte[] Codes { get; }

    public float[] Scales { get; }

    public float[] Zeros { get; }

    public double Loss { get; }

    public bool FellBack { get; }

    public int[] Order { get; }

    /// <summary>The code a weight gets in a row of one group: the nearest value, the inner one of two.</summary>
    public byte Nearest(int row, double weight, out double value)
    {
        byte best = 0;
        double distance = double.MaxValue;
        for (int code = 0; code < _options.Grid.Codes; code++)
        {
            double candidate = _options.Grid.Value((byte)code, Scales[row], Zeros[row]);
            if (Math.Abs(candidate - weight) >= distance || (code != 0 && _options.Grid.IsTernary && candidate == 0))
                continue;
            (best, distance) = ((byte)code, Math.Abs(candidate - weight));
        }

        value = _options.Grid.Value(best, Scales[row], Zeros[row]);
        return best;
    }

    /// <summary>The weights that codes and levels stand for, [rows, columns].</summary>
    public float[] Values()
    {
        var values = new float[Codes.Length];
        int size = _options.GroupSize > 0 ? _options.GroupSize : Columns;
        for (int step = 0; step < Columns; step++)
        {
            for (int row = 0; row < Rows; row++)
            {
                int group = (row * Groups) + (step / size);
                int at = (row * Columns) + Order[step];
                values[at] = _options.Grid.Value(Codes[at], Scales[group], Zeros[group]);
            }
        }

        return values;
    }
}
