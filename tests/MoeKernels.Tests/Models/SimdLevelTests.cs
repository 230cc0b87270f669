using MoeKernels.Tests.Cpu;

namespace MoeKernels.Tests.Models;

/// <summary>Whole models at every SIMD level.</summary>
[Collection("Cpu")]
public sealed class SimdLevelTests
{
    [Theory]
    [MemberData(nameof(DecoderReferenceTests.Folders), MemberType = typeof(DecoderReferenceTests))]
    public void Forward_AnySimdLevel_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[][] tokens = golden.Rows("input_ids");
        using TestModel model = TestModel.Load(Golden.Folder(name));
        float[] expected = model.Prefill(tokens);

        CpuTests.AtEveryLevel(_ => Assert.Equal(expected, model.Prefill(tokens)));
    }
}
