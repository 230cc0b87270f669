using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Compression.Report;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Compression.Output;

/// <summary>Mutations of every file that a compression writes and reads again: only documented exceptions come
/// out.</summary>
public sealed class OutputFuzzTests(ITestOutputHelper output) : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void CodebookTensors_MutatedFiles_OnlyFormatErrors()
    {
        using TestStack stack = new(new(5, 7, 4, 1), 2, inputScales: true);
        var writer = new SafetensorsWriter();
        CodebookTensors.Add(writer, "up", stack.Stack);
        writer.Save(_folder["valid"]);
        Fuzzing.Run(output, File.ReadAllBytes(_folder["valid"]), prefix: 8, bytes =>
        {
            using Checkpoint checkpoint = Checkpoint.OpenFile(_folder.Write("f", bytes));
            CodebookTensors.Read(checkpoint, "up", out IReadOnlyList<Codebook> codebooks);
            foreach (Codebook codebook in codebooks)
                codebook.Dispose();
        });
    }

    [Fact]
    public void LayerFile_MutatedFiles_OnlyFormatErrors()
    {
        var writer = new SafetensorsWriter();
        new LayerFile([3, 0, 17], new Dictionary<string, double> { ["up"] = 0.25, ["down"] = 1e-3 }) { Unfactored = 5 }
            .Describe(writer.Metadata);
        writer.Save(_folder["valid"]);
        LayerFile valid = LayerFile.Read(_folder["valid"]);
        Assert.Equal([3, 0, 17], valid.Tokens);
        Assert.Equal(5, valid.Unfactored);
        Fuzzing.Run(
            output, File.ReadAllBytes(_folder["valid"]), prefix: 8,
            bytes => LayerFile.Read(_folder.Write("f", bytes)));
    }

    [Fact]
    public void Manifest_MutatedFiles_OnlyFormatErrors()
    {
        _folder.Write("a.safetensors", "a");
        _folder.Write("config.json", "{}");
        Manifest.Write(_folder.Path, ["a.safetensors", "config.json"], "codebook", default);
        Fuzzing.Run(output, File.ReadAllBytes(_folder[Manifest.FileName]), prefix: 0, bytes =>
        {
            _folder.Write(Manifest.FileName, bytes);
            Manifest.Verify(_folder.Path, null, default);
        });
    }

    [Fact]
    public void State_MutatedFiles_AreReadOrNotUsed()
    {
        Cell[] cells = [new("a.up", 0, Cell.Up, 4, 64, 32), new("a.down", 0, Cell.Down, 4, 32, 64)];
        var state = new CompressionState("key")
        {
            Losses = cells.ToDictionary(cell => cell.Stack, _ => CodeOption.All.Select(o => o.CodeBits).ToArray()),
            Choices = cells.ToDictionary(cell => cell.Stack, _ => CodeOption.All[3]),
            Trials = [0.5, 0.25],
            Files = new Dictionary<string, string> { ["coded-00000.safetensors"] = "0123" },
        };
        state.Write(_folder["state.json"]);
        int used = 0;
        Fuzzing.Run(output, File.ReadAllBytes(_folder["state.json"]), prefix: 0, bytes =>
            used += CompressionState.Read(_folder.Write("state.json", bytes), "key", cells) is null ? 0 : 1);
        Assert.InRange(used, 1, int.MaxValue);
    }

    [Fact]
    public void Report_MutatedFiles_OnlyFormatErrors()
    {
        SampleReport.Create().Write(_folder.Path);
        Fuzzing.Run(output, File.ReadAllBytes(_folder["report.json"]), prefix: 0, bytes =>
        {
            _folder.Write("report.json", bytes);
            CompressionReport report = CompressionReport.Read(_folder.Path);
            Assert.NotEmpty(report.ToMarkdown());
        });
    }
}
