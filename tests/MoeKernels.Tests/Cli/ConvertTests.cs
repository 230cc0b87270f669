using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cli;

public sealed class ConvertTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Convert_ThereAndBack_GivesTheSameFilesAndBothRun()
    {
        var there = await MoeCommand.RunAsync("convert", QmoeFixture.Checkpoint, _folder["in"], "--json");
        Assert.Equal((0, "safetensors"), (there.ExitCode, there.Json.GetProperty("format").GetString()));
        var back = await MoeCommand.RunAsync("convert", _folder["in"], _folder["out"], "-q");
        Assert.Equal((0, ""), (back.ExitCode, back.Error));
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(QmoeFixture.Checkpoint, "exp01.pt")),
            File.ReadAllBytes(Path.Combine(_folder["out"], "exp01.pt")));

        string ids = Path.Combine(QmoeFixture.Checkpoint, "golden.safetensors");
        foreach (string model in (string[])["in", "out"])
        {
            var logits = await MoeCommand.RunAsync(
                "logits", _folder[model], "--ids", ids, "--out", _folder[model + ".safetensors"], "-q");
            Assert.Equal((0, ""), (logits.ExitCode, logits.Error));
        }

        Assert.Equal(
            QmoeFixture.Read<float>(_folder["in.safetensors"], "logits"),
            QmoeFixture.Read<float>(_folder["out.safetensors"], "logits"));
        var inspected = await MoeCommand.RunAsync("inspect", _folder["out"], "--json");
        Assert.Equal("switch_transformers", inspected.Json.GetProperty("family").GetString());
    }

    [Fact]
    public async Task Convert_NoModelOrNoCodewords_ExitsWithThree()
    {
        var missing = await MoeCommand.RunAsync("convert", _folder["nothing"], _folder["out"]);
        Assert.Equal((3, ""), (missing.ExitCode, missing.Output));
        var dense = await MoeCommand.RunAsync("convert", Golden.Folder("switch"), _folder["out"]);
        Assert.Equal(3, dense.ExitCode);
        Assert.Contains("codewords", dense.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Convert_OntoAFullFolder_ExitsWithOne()
    {
        _folder.Write("x", "y");
        var result = await MoeCommand.RunAsync("convert", QmoeFixture.Checkpoint, _folder.Path);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("is there already", result.Error, StringComparison.Ordinal);
    }
}
