using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cuda;
using MoeKernels.Tests.Models.EncoderDecoder;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>Encoder-decoders on a device: what the CPU promises, the device keeps.</summary>
public sealed class DeviceEncoderDecoderTests : EncoderDecoderReferenceTests
{
    private protected override bool RecordsRouters => false;

    private protected override TestModel Load(string name, int threads = 1) =>
        TestModel.Load(Golden.Folder(name), threads, placement: new DevicePlacement(NativeLibraryUnderTest.Require()));
}
