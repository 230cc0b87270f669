using MoeKernels.Tests.Cuda;

namespace MoeKernels.Tests.Models.Placement;

/// <summary>Loading a model onto a device through the public interface: what it reports, and what it refuses.</summary>
public sealed class DeviceLoadTests
{
    [Fact]
    public async Task Load_OntoADevice_ReportsIt()
    {
        NativeLibraryUnderTest.Require().Dispose();
        var options = new MoeLoadOptions { Device = Device.Cuda(), RequireDevice = true };
        await using MoeModel model = await MoeModel.LoadAsync(
            Golden.Folder("qwen3_next"), options, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("cuda:0", "cuda:0"), (model.Backend.Requested, model.Backend.Actual));
        Assert.Null(model.Backend.FallbackReason);
        Assert.True(File.Exists(model.Backend.NativePath));
        Assert.Equal(["gated delta networks"], model.Backend.HostSteps);
        Assert.Contains("on the CPU: gated delta networks", model.Backend.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_OntoAMissingDevice_FallsBackWithTheReason()
    {
        var options = new MoeLoadOptions { Device = Device.Cuda(63) };
        await using MoeModel model = await MoeModel.LoadAsync(
            Golden.Folder("llama"), options, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("cpu", model.Backend.Actual);
        Assert.StartsWith("cuda:63: ", model.Backend.FallbackReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Load_OntoAMissingDeviceThatIsRequired_IsRefused()
    {
        var options = new MoeLoadOptions { Device = Device.Cuda(63), RequireDevice = true };
        var error = await Assert.ThrowsAsync<MoeDeviceException>(
            () => MoeModel.LoadAsync(Golden.Folder("llama"), options));
        Assert.Equal("cuda:63", error.Device);
    }

    [Fact]
    public async Task Load_WithoutAWish_NeverTakesTheEmulator()
    {
        await using MoeModel model = await MoeModel.LoadAsync(
            Golden.Folder("llama"), new MoeLoadOptions { Device = Device.Auto },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(model.Backend.Actual == "cpu" || !model.Backend.DeviceName!.Contains("emulated"));
    }
}
