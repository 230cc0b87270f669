using System.Text.Json;
using MoeKernels.Compression;
using MoeKernels.Tests.Compression.Report;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Planning;

namespace MoeKernels.Tests.Cli;

/// <summary><c>moe inspect</c> on a folder whose experts are codebook matrices.</summary>
public sealed class InspectCompressedTests : IDisposable
{
    private readonly ModelVariant _variant = ModelVariant.Of("qwen3_moe");
    private readonly string _folder;

    public InspectCompressedTests()
    {
        CodedPlanningTests.Code(_variant, inputScales: true);
        _folder = _variant.Save();
        SampleReport.Create().Write(_folder);
        Manifest.Write(_folder, ["model.safetensors", "config.json"], "codebook", CancellationToken.None);
    }

    public void Dispose() => _variant.Dispose();

    [Fact]
    public async Task Inspect_Text_ShowsCodesByLayerAndTheReport()
    {
        var result = await MoeCommand.RunAsync("inspect", _folder, "--verify");
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("layer  down_proj  ", result.Output, StringComparison.Ordinal);
        Assert.Contains("    1  D8x2 ", result.Output, StringComparison.Ordinal);
        Assert.Contains("from models/novelist-m by codebook: kl 0.0541", result.Output, StringComparison.Ordinal);
        Assert.Contains("as they were written", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_Json_ListsEveryStack()
    {
        var json = (await MoeCommand.RunAsync("inspect", _folder, "--json")).Json;
        Assert.Equal(3, json.GetProperty("coded").GetArrayLength());
        Assert.Equal(0.71, json.GetProperty("report").GetProperty("kl_99").GetDouble());
        Assert.Equal(JsonValueKind.Array, json.GetProperty("tensors").ValueKind);
    }

    [Fact]
    public async Task Verify_FlippedBitAndMissingFile_FailsAndNamesThem()
    {
        string weights = Path.Combine(_folder, "model.safetensors");
        byte[] bytes = await File.ReadAllBytesAsync(weights);
        bytes[^100] ^= 4;
        await File.WriteAllBytesAsync(weights, bytes);
        var result = await MoeCommand.RunAsync("inspect", _folder, "--verify", "--json");
        Assert.Equal(6, result.ExitCode);
        Assert.Equal("model.safetensors", result.Json.GetProperty("damaged")[0].GetString());
        Assert.Contains("model.safetensors", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_DamagedReport_StillShowsTheWeights()
    {
        await File.WriteAllTextAsync(Path.Combine(_folder, "report.json"), "{");
        var result = await MoeCommand.RunAsync("inspect", _folder);
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("D8x2", result.Output, StringComparison.Ordinal);
        Assert.Contains("report cannot be read", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_NoChecksums_IsUnreadable()
    {
        File.Delete(Path.Combine(_folder, "moekernels.json"));
        Assert.Equal(3, (await MoeCommand.RunAsync("inspect", _folder, "--verify")).ExitCode);
    }
}
