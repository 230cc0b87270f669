using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

public sealed unsafe class DeltaRuleTests
{
    [Theory]
    [InlineData(16, 1)]
    [InlineData(16, 7)]
    [InlineData(48, 33)]
    [InlineData(64, 16)]
    [InlineData(144, 128)]
    public void Step_EverySimdLevel_HasTheBitsOfTheDefinition(int columns, int keyDim)
    {
        Random random = new(columns + keyDim);
        float[] state = Values(random, columns * keyDim), q = Values(random, keyDim), k = Values(random, keyDim);
        float[] v = Values(random, columns);
        (float[] expectedState, float[] expected) = Definition(state, q, k, v, 0.9f, 0.3f);
        SimdLevel before = Simd.Level;
        try
        {
            for (SimdLevel level = SimdLevel.Software; level <= Simd.Best; level++)
            {
                Simd.Level = level;
                using NativeFloats from = new(state), to = new(state.Length), result = new(columns);
                using NativeFloats query = new(q), key = new(k), value = new(v);

                DeltaRule.Step(
                    from.Pointer, to.Pointer, columns, keyDim, query.Pointer, key.Pointer, value.Pointer, 0.9f, 0.3f,
                    result.Pointer);
                Assert.Equal(expectedState, to.Span.ToArray());
                Assert.Equal(expected, result.Span.ToArray());

                DeltaRule.Step(
                    from.Pointer, from.Pointer, columns, keyDim, query.Pointer, key.Pointer, value.Pointer, 0.9f, 0.3f,
                    result.Pointer);
                Assert.Equal(expectedState, from.Span.ToArray());
                Assert.Equal(expected, result.Span.ToArray());
            }
        }
        finally
        {
            Simd.Level = before;
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 15)]
    [InlineData(3, 16)]
    [InlineData(4, 37)]
    [InlineData(5, 64)]
    public void Convolve_EverySimdLevel_HasTheBitsOfTheDefinition(int taps, int channels)
    {
        const int Stride = 80;
        Random random = new((taps * 100) + channels);
        float[] weight = Values(random, taps * Stride), rows = Values(random, taps * Stride);
        float[] expected = new float[channels];
        for (int c = 0; c < channels; c++)
        {
            for (int tap = 0; tap < taps; tap++)
            {
                int at = (tap * Stride) + c;
                expected[c] = MathF.FusedMultiplyAdd(weight[at], rows[at], expected[c]);
            }
        }

        float** inputs = stackalloc float*[taps];
        SimdLevel before = Simd.Level;
        try
        {
            for (SimdLevel level = SimdLevel.Software; level <= Simd.Best; level++)
            {
                Simd.Level = level;
                using NativeFloats w = new(weight), x = new(rows), result = new(channels);
                for (int tap = 0; tap < taps; tap++)
                    inputs[tap] = x.Pointer + (tap * Stride);

                DeltaRule.Convolve(inputs, taps, w.Pointer, Stride, result.Pointer, channels);

                Assert.Equal(expected, result.Span.ToArray());
            }
        }
        finally
        {
            Simd.Level = before;
        }
    }

    private static (float[] State, float[] Result) Definition(
        float[] state, float[] q, float[] k, float[] v, float decay, float beta)
    {
        int columns = v.Length;
        float[] next = new float[state.Length], result = new float[columns];
        for (int c = 0; c < columns; c++)
        {
            float memory = 0;
            for (int row = 0; row < k.Length; row++)
                memory = MathF.FusedMultiplyAdd(k[row], state[(row * columns) + c], memory);
            float delta = beta * (v[c] - (decay * memory));
            for (int row = 0; row < k.Length; row++)
            {
                int at = (row * columns) + c;
                next[at] = MathF.FusedMultiplyAdd(k[row], delta, decay * state[at]);
                result[c] = MathF.FusedMultiplyAdd(q[row], next[at], result[c]);
            }
        }

        return (next, result);
    }

    private static float[] Values(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => (2 * random.NextSingle()) - 1)];
}
