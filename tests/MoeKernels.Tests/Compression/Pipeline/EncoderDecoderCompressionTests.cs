using System.Text.Json.Nodes;
using MoeKernels.Compression;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Encoder-decoders compressed like decoders: bits where they are worth most, and an evaluation.</summary>
[Collection("Cpu")]
public sealed class EncoderDecoderCompressionTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public async Task Model_CompressedByMeasuredBits_IsEvaluated(string name)
    {
        CompressionReport report = await RunAsync(name, Options with { Bits = 4.3 });
        Assert.Equal(report.Cells.Count(cell => cell.Routed), report.Cells.Count(cell => cell.Kl > 0));
        Assert.InRange(report.Quality[0].Result.Kl!.Value, 1e-6, 1);
        AllocationPoint chosen = report.Curve.Single(point => point.Chosen);
        Assert.Equal(report.Quality[0].Result.Kl, chosen.MeasuredKl);
        Assert.Contains(report.Notes, note => note.Contains("reads and writes again", StringComparison.Ordinal));

        using MoeModel dense = await MoeModel.LoadAsync(_folder["model"]);
        using MoeModel coded = await MoeModel.LoadAsync(_folder["out"]);
        EvaluationResult result = await coded.EvaluateAsync(
            Options.Texts, new EvaluationOptions { Window = 32, MaxWindows = 4 }, dense, null,
            TestContext.Current.CancellationToken);
        Assert.Equal(4 * 32, result.Tokens);
        Assert.InRange(result.Kl!.Value, 1e-6, 1);
    }

    [Fact]
    public async Task Model_CompressedToADivergence_KeepsIt()
    {
        CompressionReport report = await RunAsync("switch", Options with { MaxKl = 0.05 });
        Assert.InRange(report.Quality[0].Result.Kl!.Value, 1e-6, 0.05);
    }

    [Fact]
    public async Task Model_Compared_HasThePointsOfTheOtherMethods()
    {
        CompressionReport report = await RunAsync("switch", Options with { Bits = 4.3, Compare = true });
        Assert.Equal(5, report.Comparisons.Count);
        Assert.All(report.Comparisons, point => Assert.True(point.Kl > 0));
    }

    [Theory]
    [InlineData("measuring", 1)]
    [InlineData("coding", 3)]
    public async Task Model_StoppedAndCompressedAgain_HasTheSameBytes(string stage, int steps)
    {
        CompressOptions options = Options with { Bits = 4.3 };
        await RunAsync("switch", options);
        using CancellationTokenSource stop = new();
        int done = 0;
        Progress progress = new(step =>
        {
            if (step.Stage == stage && ++done == steps)
                stop.Cancel();
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Compressor.RunAsync(_folder["model"], _folder["again"], options, progress, stop.Token));
        await Compressor.RunAsync(
            _folder["model"], _folder["again"], options, null, TestContext.Current.CancellationToken);
        foreach (string file in Directory.GetFiles(_folder["out"], "*.safetensors"))
        {
            string again = Path.Combine(_folder["again"], Path.GetFileName(file));
            Assert.Equal(await File.ReadAllBytesAsync(file), await File.ReadAllBytesAsync(again));
        }
    }

    private static CompressOptions Options { get; } = new()
    {
        Texts = [SmallNovelist.Text[..6000].ToLowerInvariant()], Tokens = 512, Window = 32, Threads = 2,
        Allocation = AllocationMode.Fast,
    };

    private async Task<CompressionReport> RunAsync(string name, CompressOptions options)
    {
        foreach (string file in (string[])["config.json", "model.safetensors"])
        {
            Directory.CreateDirectory(_folder["model"]);
            File.Copy(Path.Combine(Golden.Folder(name), file), Path.Combine(_folder["model"], file));
        }

        await File.WriteAllTextAsync(
            Path.Combine(_folder["model"], "tokenizer.json"), Letters(), TestContext.Current.CancellationToken);
        return await Compressor.RunAsync(
            _folder["model"], _folder["out"], options, null, TestContext.Current.CancellationToken);
    }

    /// <summary>A tokenizer of one token a letter.</summary>
    private static string Letters()
    {
        JsonObject vocabulary = new() { ["[UNK]"] = 3 };
        for (char letter = 'a'; letter <= 'z'; letter++)
            vocabulary[letter.ToString()] = 4 + letter - 'a';
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = null,
            ["post_processor"] = null,
            ["decoder"] = null,
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["unk_token"] = "[UNK]", ["vocab"] = vocabulary, ["merges"] = new JsonArray(),
            },
        }.ToJsonString();
    }
}
