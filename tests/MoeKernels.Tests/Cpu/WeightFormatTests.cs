using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class WeightFormatTests
{
    [Fact]
    public void F16_EveryCode_EqualsHalfToSingle()
    {
        ushort[] codes = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        fixed (ushort* data = codes)
        {
            WeightMatrix w = new(WeightFormat.F16, data, 64, 1024, 2048);
            AssertUnpacks(w, [.. codes.Select(code => (float)BitConverter.UInt16BitsToHalf(code))]);
        }
    }

    [Fact]
    public void BF16_EveryCode_IsTheUpperHalf()
    {
        ushort[] codes = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        fixed (ushort* data = codes)
        {
            WeightMatrix w = new(WeightFormat.BF16, data, 64, 1024, 2048);
            AssertUnpacks(w, [.. codes.Select(code => BitConverter.UInt32BitsToSingle((uint)code << 16))]);
        }
    }

    [Fact]
    public void F8_EveryCode_EqualsItsDefinition()
    {
        byte[] codes = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        float scale = 0.3f;
        fixed (byte* data = codes)
        {
            WeightMatrix w = WeightMatrix.F8(data, 1, 256, &scale, 1, 256);
            AssertUnpacks(w, [.. codes.Select(code => Fp8(code) * 0.3f)]);
        }
    }

    [Fact]
    public void MxFp4_EveryCodeAndScale_EqualsItsDefinition()
    {
        byte[] codes = [.. Enumerable.Range(0, 256 * 16).Select(i => (byte)((i * 37) ^ (i >> 4)))];
        byte[] scales = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        float[] values = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6];
        float[] expected = new float[256 * 32];
        for (int i = 0; i < expected.Length; i++)
        {
            int code = (codes[i / 2] >> (4 * (i % 2))) & 15;
            double scale = i / 32 == 255 ? double.NaN : Math.Pow(2, (i / 32) - 127);
            expected[i] = (float)(values[code] * scale);
        }

        fixed (byte* data = codes, blocks = scales)
            AssertUnpacks(WeightMatrix.Mx4(data, 1, 256 * 32, blocks), expected);
    }

    // From the format's definition: 1 sign, 4 exponent (bias 7), 3 mantissa bits.
    private static float Fp8(byte code)
    {
        int exponent = (code >> 3) & 15, mantissa = code & 7;
        double magnitude = exponent == 15 && mantissa == 7 ? double.NaN
            : exponent == 0 ? mantissa / 8.0 * Math.Pow(2, -6)
            : (1 + (mantissa / 8.0)) * Math.Pow(2, exponent - 7);
        return (float)(code >= 128 ? -magnitude : magnitude);
    }

    private static void AssertUnpacks(WeightMatrix w, float[] expected)
    {
        float[] scalar = new float[expected.Length];
        for (int i = 0; i < scalar.Length; i++)
            scalar[i] = WeightElement.Get(w, i / w.Columns, i % w.Columns);
        CpuTests.AssertBits(expected, scalar, "scalar definition");
        CpuTests.AtEveryLevel(level =>
        {
            using NativeFloats y = new(expected.Length);
            UnpackKernel kernel = new() { Weights = w, Destination = y.Pointer };
            Simd.Run(ref kernel);
            CpuTests.AssertBits(expected, y.Span, $"{w.Format}, {level}");
        });
    }

    private struct UnpackKernel : IVecKernel
    {
        public WeightMatrix Weights;
        public float* Destination;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            for (int row = 0; row < Weights.Rows; row++)
                Unpack.Row<T>(Weights, row, 0, Weights.Columns, Destination + (row * Weights.Columns), 16);
        }
    }
}
