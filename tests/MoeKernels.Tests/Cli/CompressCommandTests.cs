using System.Diagnostics;
using MoeKernels.Compression;
using MoeKernels.Tests.Compression.Pipeline;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Cli;

/// <summary><c>moe compress</c> as a process: exit codes, full disks and kills.</summary>
[Collection("Cpu")]
public sealed class CompressCommandTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly SmallNovelist _model = new();

    private string Output => _folder["out"];

    private string Partial => _folder["out.partial"];

    private string[] Small =>
    [
        "compress", _model.Path, Output, "--bits", "1.6", "--tokens", "512", "--window", "64", "--allocation",
        "uniform",
    ];

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Text_MissingNotUtf8EmptyOrShort_HasItsExitCode()
    {
        byte[] notUtf8 = [.. "Once"u8, 0xC3, 0x28];
        (string File, int Code, string Says)[] cases =
        [
            (_folder["missing.txt"], 3, "does not exist"),
            (_folder.Path, 3, "is a folder"),
            (_folder.Write("latin.txt", notUtf8), 3, "is not UTF-8 text: the byte at position 4"),
            (_folder.Write("empty.txt", string.Empty), 2, "calibration text is empty"),
            (_folder.Write("short.txt", "Once upon a time"), 2, "calibration text has"),
        ];
        foreach ((string file, int code, string says) in cases)
        {
            CommandResult result = await MoeCommand.RunAsync([.. Small, "--calib", file]);
            Assert.Contains(says, result.Error, StringComparison.Ordinal);
            Assert.Equal(code, result.ExitCode);
            Assert.Empty(result.Output);
        }

        Assert.Empty(Directory.GetDirectories(_folder.Path));
    }

    [Fact]
    public async Task Model_ThatCannotBeCompressed_HasItsExitCode()
    {
        Assert.Equal(0, (await MoeCommand.RunAsync(Small)).ExitCode);
        CommandResult again = await MoeCommand.RunAsync("compress", Output, _folder["again"], "--tokens", "512");
        Assert.Equal(3, again.ExitCode);
        Assert.Contains("compressed already", again.Error, StringComparison.Ordinal);
        CommandResult exists = await MoeCommand.RunAsync(Small);
        Assert.Equal(1, exists.ExitCode);
        Assert.Contains("exists already", exists.Error, StringComparison.Ordinal);
        CommandResult floor = await MoeCommand.RunAsync("compress", _model.Path, _folder["low"], "--bits", "0.4");
        Assert.Equal(6, floor.ExitCode);
        Assert.Contains("the floor of this model's shapes", floor.Error, StringComparison.Ordinal);
        string llama = RepositoryPaths.DataFile("models", "llama");
        Assert.Equal(3, (await MoeCommand.RunAsync("compress", llama, _folder["dense"])).ExitCode);
        Assert.Equal(3, (await MoeCommand.RunAsync("compress", _folder["nothing"], _folder["n"])).ExitCode);
        Assert.Equal(2, (await MoeCommand.RunAsync("compress", _model.Path)).ExitCode);
        Assert.Equal([Output], Directory.GetDirectories(_folder.Path));
    }

    /// <summary>A limit on the size of files stands for the end of the disk: writing beyond it fails
    /// likewise.</summary>
    [Theory]
    [InlineData(1, 0)]
    [InlineData(60, 0)]
    [InlineData(600, 2)]
    public async Task Disk_FullInTheMiddle_LeavesNothingHalfAndGoesOn(int kibibytes, int codedLayers)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Limits of file sizes are set by a shell.");
        CommandResult full = await MoeCommand.RunLimitedAsync(kibibytes, Small);
        Assert.Equal(1, full.ExitCode);
        Assert.Contains("cannot be written", full.Error, StringComparison.Ordinal);
        Assert.Empty(full.Output);
        Assert.False(Directory.Exists(Output));
        if (kibibytes > 1)
        {
            string[] left = [.. Directory.GetFiles(Partial).Select(Path.GetFileName).OfType<string>()];
            Assert.DoesNotContain(left, name => name.EndsWith(".tmp", StringComparison.Ordinal));
            Assert.Equal(codedLayers, left.Count(name => name.StartsWith("coded", StringComparison.Ordinal)));
            Assert.DoesNotContain("rest.safetensors", left);
        }

        CommandResult resumed = await MoeCommand.RunAsync(Small);
        Assert.Equal(0, resumed.ExitCode);
        Assert.Empty(await Compressor.VerifyAsync(Output));
        Assert.False(Directory.Exists(Partial));
    }

    [Fact]
    public async Task Process_KilledBetweenFiles_GoesOnToTheSameBytes()
    {
        Assert.Equal(0, (await MoeCommand.RunAsync(Small)).ExitCode);
        string expected = File.ReadAllText(Path.Combine(Output, "moekernels.json"));
        Directory.Delete(Output, recursive: true);
        using (Process process = MoeCommand.Start(Small))
        {
            while (!process.HasExited && !File.Exists(Path.Combine(Partial, LayerFile.Name(0))))
                await Task.Delay(1);
            process.Kill();
            await process.WaitForExitAsync();
        }

        Assert.False(Directory.Exists(Output));
        Assert.Equal(0, (await MoeCommand.RunAsync(Small)).ExitCode);
        Assert.Equal(expected, File.ReadAllText(Path.Combine(Output, "moekernels.json")));
    }
}
