using System.Text.Json.Nodes;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>The parts of decoders in double precision, written from their formulas.</summary>
internal static class NaiveMath
{
    public static int Int(this JsonObject config, string key) => (int)config[key]!;

    public static double[] Linear(this RandomCheckpoint weights, string module, double[] x, bool bias = false)
    {
        double[] y = [.. weights[$"{module}.weight"].Select(row => Dot(row, x))];
        return bias ? Add(y, weights[$"{module}.bias"][0]) : y;
    }

    public static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    public static double[] Add(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    public static double[] Scale(double[] x, double factor) => [.. x.Select(value => value * factor)];

    public static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    public static double Silu(double x) => x * Sigmoid(x);

    public static double[] Softmax(double[] x)
    {
        double[] exponentials = [.. x.Select(value => Math.Exp(value - x.Max()))];
        return Scale(exponentials, 1 / exponentials.Sum());
    }

    public static double[] Rms(double[] x, double[] weight, double epsilon, double offset = 0)
    {
        double scale = 1 / Math.Sqrt(x.Average(value => value * value) + epsilon);
        return [.. x.Zip(weight, (value, w) => value * scale * (w + offset))];
    }

    public static double[] SwiGlu(this RandomCheckpoint weights, string module, double[] x)
    {
        double[] gate = weights.Linear($"{module}.gate_proj", x);
        double[] up = weights.Linear($"{module}.up_proj", x);
        return weights.Linear($"{module}.down_proj", [.. gate.Zip(up, (g, u) => Silu(g) * u)]);
    }

    /// <summary>Random weights of a gated network.</summary>
    public static void AddSwiGlu(this RandomCheckpoint weights, string module, int hidden, int intermediate)
    {
        weights.Matrix($"{module}.gate_proj.weight", intermediate, hidden);
        weights.Matrix($"{module}.up_proj.weight", intermediate, hidden);
        weights.Matrix($"{module}.down_proj.weight", hidden, intermediate);
    }

    /// <summary>A head with its first elements rotated; frequencies are those of the library, which have tests of their
    /// own.</summary>
    public static double[] Rotate(double[] head, RopeSpec rope, int position)
    {
        float[] frequencies = new float[rope.Dimensions / 2];
        RopeFrequencies.Compute(rope, position + 1, frequencies);
        double[] rotated = [.. head];
        for (int i = 0; i < frequencies.Length; i++)
        {
            int a = rope.Interleaved ? 2 * i : i;
            int b = rope.Interleaved ? a + 1 : i + frequencies.Length;
            double cos = Math.Cos((float)position * frequencies[i]) * rope.AttentionFactor;
            double sin = Math.Sin((float)position * frequencies[i]) * rope.AttentionFactor;
            rotated[a] = (head[a] * cos) - (head[b] * sin);
            rotated[b] = (head[b] * cos) + (head[a] * sin);
        }

        return rotated;
    }

    /// <summary>Causal softmax attention of one head's query over the keys and values up to it.</summary>
    public static double[] Attend(
        double[] query, IReadOnlyList<double[]> keys, IReadOnlyList<double[]> values, double scale)
    {
        double[] weights = Softmax([.. keys.Select(key => scale * Dot(query, key))]);
        double[] sum = new double[values[0].Length];
        for (int p = 0; p < weights.Length; p++)
            sum = Add(sum, Scale(values[p], weights[p]));
        return sum;
    }

    public static void AssertClose(double[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        double tolerance = 1e-4 * expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i], tolerance);
    }
}
