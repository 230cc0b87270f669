using MoeKernels.Generation;
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

    [Theory]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public async Task Session_OfAnEncoderDecoder_AnswersAsTheReference(string name)
    {
        NativeLibraryUnderTest.Require().Dispose();
        using Golden golden = new(Golden.Folder(name));
        var options = new MoeLoadOptions { Device = Device.Cuda(), RequireDevice = true };
        await using MoeModel model = await MoeModel.LoadAsync(
            Golden.Folder(name), options, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Empty(model.Backend.HostSteps);
        using MoeSession session = model.CreateSession();
        session.Encode(golden.Rows("input_ids")[0], TestContext.Current.CancellationToken);
        using MoeSession fork = session.Fork();
        int[] expected = golden.Ints("greedy_ids");
        Assert.Equal(expected, Greedy(session, model.Info.Vocabulary, expected));
        Assert.Equal(expected, Greedy(fork, model.Info.Vocabulary, expected));
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

    /// <summary>The first token and its continuation, as long as the expected one.</summary>
    private static List<int> Greedy(MoeSession session, int vocabulary, int[] expected)
    {
        List<int> tokens = [expected[0]];
        var logits = new float[vocabulary];
        while (tokens.Count < expected.Length)
        {
            session.Forward([tokens[^1]], logits, TestContext.Current.CancellationToken);
            tokens.Add(Array.IndexOf(logits, logits.Max()));
        }

        return tokens;
    }
}
