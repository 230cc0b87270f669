using MoeKernels.Planning;
using MoeKernels.Tests.Models;

namespace MoeKernels.Tests.Planning;

/// <summary>Plans and reports of models on a device name what runs on the host.</summary>
public sealed class DevicePlanTests
{
    [Theory]
    [InlineData("qwen3_moe")]
    [InlineData("deepseek_v2-lite")]
    [InlineData("deepseek_v2")]
    [InlineData("deepseek_v3")]
    [InlineData("deepseek_v3-fp8")]
    [InlineData("llama4-text")]
    [InlineData("qwen3_next", "gated delta networks")]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public void Plan_OfADevice_NamesWhatStaysOnTheHost(string name, params string[] steps)
    {
        MemoryPlan plan = MoeModel.Plan(Golden.Folder(name), new MoeLoadOptions { Device = Device.Cuda() });
        DevicePlan onDevice = Assert.IsType<DevicePlan>(plan.OnDevice);
        Assert.Equal("cuda:0", onDevice.Device);
        Assert.Equal(steps, onDevice.HostSteps);
        Assert.InRange(onDevice.WeightBytes, 1, plan.ExpertBytes + plan.OtherWeightBytes + plan.CopiedBytes);
    }

    [Fact]
    public void Plan_OfTheCpu_HasNoDevice() =>
        Assert.Null(MoeModel.Plan(Golden.Folder("qwen3_moe"), new MoeLoadOptions { Device = Device.Cpu }).OnDevice);

    [Theory]
    [InlineData("auto", DeviceKind.Auto, 0)]
    [InlineData("cpu", DeviceKind.Cpu, 0)]
    [InlineData("cuda", DeviceKind.Cuda, 0)]
    [InlineData("cuda:3", DeviceKind.Cuda, 3)]
    public void Device_ReadsItsNames(string text, DeviceKind kind, int index)
    {
        Device device = Device.Parse(text);
        Assert.Equal((kind, index), (device.Kind, device.Index));
        Assert.Equal(device, Device.Parse(device.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("cuda: 1")]
    [InlineData("CUDA")]
    public void Device_RefusesOtherNames(string text) => Assert.Throws<FormatException>(() => Device.Parse(text));
}
