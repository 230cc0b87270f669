using MoeKernels.Models.KvCache;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cuda;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>Encoder-decoders on a device: what the CPU promises, the device keeps.</summary>
public sealed class DeviceEncoderDecoderTests : EncoderDecoderReferenceTests
{
    [Theory]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public void Forward_BeforeASource_IsRefused(string name)
    {
        using TestModel model = Load(name);
        using SequenceState state = model.NewSequence();
        Assert.Throws<InvalidOperationException>(() => model.Forward([state], [[2]]));
        model.Encode([state], [[5, 6]], [[1, 1]]);
        Assert.All(model.Forward([state], [[2]]), logit => Assert.True(float.IsFinite(logit)));
    }

    private protected override bool RecordsRouters => false;

    private protected override TestModel Load(string name, int threads = 1) =>
        TestModel.Load(Golden.Folder(name), threads, placement: new DevicePlacement(NativeLibraryUnderTest.Require()));
}
