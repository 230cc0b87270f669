using CsCheck;
using MoeKernels.Cpu;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cpu;

public sealed unsafe class CodebookRowTests
{
    [Fact]
    public void Unpack_AnyWindowOfAnyShape_EqualsTheElements() =>
        Gen.Select(Gen.Int[1, 600], Gen.Int[1, 400], Gen.Int[1, 16], Gen.Int[1, 4], Gen.Int[0, 1 << 30]).Sample(
            (rows, columns, dimension, stages, seed) =>
            {
                using TestCodebook w = new(new(rows, columns, dimension, stages), seed, inputScales: seed % 2 == 0);
                Random random = new(seed);
                int row = random.Next(rows), first = random.Next(columns), count = random.Next(columns - first) + 1;
                using NativeFloats values = new(count);
                CodebookRow.Unpack(w.Matrix, row, first, count, values.Pointer);
                for (int i = 0; i < count; i++)
                    Assert.Equal(WeightElement.Get(w.Matrix, row, first + i), values.Pointer[i]);
            },
            iter: 100);
}
