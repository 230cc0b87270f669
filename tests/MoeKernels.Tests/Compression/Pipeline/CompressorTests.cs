using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Generation;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>The compressor from the outside: what it writes, and what it refuses.</summary>
[Collection("Cpu")]
public sealed class CompressorTests : IDisposable
{
    private readonly TempFolder _folder = new();

    private string Output => _folder["out"];

    private static string Sample => RepositoryPaths.DataFile("novelist-s");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Sample_ByTheBook_IsWrittenWholeAndSpeaks()
    {
        CompressOptions options = new()
        {
            Texts = [SmallNovelist.Text], Bits = 1, Tokens = 2048, Allocation = AllocationMode.Uniform,
        };
        CompressionReport report = await Compressor.RunAsync(
            Sample, Output, options, null, TestContext.Current.CancellationToken);

        string[] files = [.. Directory.GetFiles(Output).Select(file => Path.GetFileName(file)!)];
        Assert.Superset(
            new HashSet<string>(["config.json", "tokenizer.json", "moekernels.json", "report.md", "report.json"]),
            files.ToHashSet());
        Assert.DoesNotContain(files, name => name is "state.json" or "in-use" || name.EndsWith(".tmp"));
        Assert.False(Directory.Exists(Output + ".partial"));
        Assert.Empty(await Compressor.VerifyAsync(Output, null, TestContext.Current.CancellationToken));
        Assert.Equal(report.ToJson(), CompressionReport.Read(Output).ToJson());
        Assert.Equal(StackBytes(Output), report.Sizes.ExpertBytes);
        Assert.InRange(report.Sizes.ExpertBits, 0.9, 1);
        Assert.Equal(4, report.Coverage.Count);
        Assert.All(report.Coverage, layer => Assert.Equal(16, layer.Tokens.Count));
        Assert.Equal(2 * 2048, report.Coverage[0].Tokens.Sum());
        Assert.InRange(report.Quality[0].Result.Kl!.Value, 0.01, 2);

        using MoeModel model = await MoeModel.LoadAsync(
            Output, cancellationToken: TestContext.Current.CancellationToken);
        using MoeSession session = model.CreateSession();
        int tokens = 0;
        await foreach (TokenUpdate _ in session.GenerateAsync("It was a", new GenerationOptions { MaxNewTokens = 8 }))
            tokens++;
        Assert.Equal(8, tokens);
    }

    [Fact]
    public async Task MaxKl_WithinReach_IsKept()
    {
        using SmallNovelist model = new();
        CompressOptions options = SmallNovelist.Options with { MaxKl = 0.5 };
        CompressionReport report = await Run(model.Path, options);
        Assert.InRange(report.Quality[0].Result.Kl!.Value, 0, 0.5);
        Assert.InRange(report.Sizes.ExpertBits, 0.5, 4.3);
    }

    [Fact]
    public async Task MaxKl_OutOfReach_ShowsTheCurveAndWritesNothing()
    {
        using SmallNovelist model = new();
        CompressOptions options = SmallNovelist.Options with { MaxKl = 1e-9 };
        MoeBudgetException e = await Assert.ThrowsAsync<MoeBudgetException>(() => Run(model.Path, options));
        Assert.Contains("predicted by bits: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(" 2: ", e.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Output));
    }

    [Fact]
    public async Task Bits_BelowTheFloor_NamesIt()
    {
        using SmallNovelist model = new();
        MoeBudgetException e = await Assert.ThrowsAsync<MoeBudgetException>(
            () => Run(model.Path, SmallNovelist.Options with { Bits = 0.4 }));
        Assert.Matches(@"the floor of this model's shapes is 0\.\d+", e.Message);
        AssertNothingWritten();
        double floor = double.Parse(e.Message.Split(' ')[^1], System.Globalization.CultureInfo.InvariantCulture);
        CompressionReport report = await Run(model.Path, SmallNovelist.Options with { Bits = floor });
        Assert.InRange(report.Sizes.ExpertBits, floor - 0.002, floor);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" \n\t ")]
    [InlineData("A few words.")]
    public async Task Text_EmptyOrTooShort_IsRefused(string text)
    {
        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(
            () => Run(Sample, SmallNovelist.Options with { Texts = [text] }));
        Assert.Contains("calibration text", e.Message, StringComparison.Ordinal);
        AssertNothingWritten();
    }

    [Fact]
    public async Task Model_WithoutExpertsOrTokenizer_IsRefused()
    {
        await Assert.ThrowsAsync<MoeUnsupportedException>(() => Run(Golden.Folder("llama"), SmallNovelist.Options));
        MoeUnsupportedException e = await Assert.ThrowsAsync<MoeUnsupportedException>(
            () => Run(Golden.Folder("mixtral"), SmallNovelist.Options));
        Assert.Contains("tokenizer.json", e.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<MoeFormatException>(() => Run(_folder["nothing"], SmallNovelist.Options));
        AssertNothingWritten();
    }

    [Fact]
    public async Task Model_CompressedTwice_IsRefused()
    {
        using SmallNovelist model = new();
        await Run(model.Path, SmallNovelist.Options);
        MoeUnsupportedException e = await Assert.ThrowsAsync<MoeUnsupportedException>(
            () => Compressor.RunAsync(Output, _folder["again"], SmallNovelist.Options));
        Assert.Contains("compressed already", e.Message, StringComparison.Ordinal);
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Output_ThatExists_IsLeftAlone()
    {
        Directory.CreateDirectory(Output);
        File.WriteAllText(Path.Combine(Output, "mine"), "mine");
        MoeException e = await Assert.ThrowsAsync<MoeException>(() => Run(Sample, SmallNovelist.Options));
        Assert.Contains("exists already", e.Message, StringComparison.Ordinal);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(Output, "mine")));
        await Assert.ThrowsAsync<MoeException>(
            () => Compressor.RunAsync(Sample, Path.Combine(Output, "mine"), SmallNovelist.Options));
        await Assert.ThrowsAsync<MoeException>(
            () => Compressor.RunAsync(Sample, Path.Combine(Output, "mine", "below"), SmallNovelist.Options));
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("model.layers.1.mlp.experts.3.down_proj.weight", AllocationMode.Uniform)]
    [InlineData("model.layers.0.mlp.experts.0.up_proj.weight", AllocationMode.Fast)]
    public async Task Model_WithNaN_IsRefusedAsSuch(string tensor, AllocationMode allocation)
    {
        using SmallNovelist model = new();
        model.Tensors[tensor] = model.Tensors[tensor].WithNaN();
        model.Save();
        await Assert.ThrowsAsync<MoeNonFiniteException>(
            () => Run(model.Path, SmallNovelist.Options with { Allocation = allocation }));
        Assert.False(Directory.Exists(Output));
    }

    private Task<CompressionReport> Run(string model, CompressOptions options) =>
        Compressor.RunAsync(model, Output, options, null, TestContext.Current.CancellationToken);

    private void AssertNothingWritten() => Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));

    /// <summary>Bytes of all tensors of the experts' stacks.</summary>
    private static long StackBytes(string folder)
    {
        using Checkpoint checkpoint = Checkpoint.Open(folder);
        return checkpoint.Names
            .Where(name => CodebookTensors.Suffixes.Any(suffix => name.EndsWith(suffix, StringComparison.Ordinal))
                && name.Contains(".experts.", StringComparison.Ordinal))
            .Sum(name => checkpoint.Get(name).ByteLength);
    }
}
