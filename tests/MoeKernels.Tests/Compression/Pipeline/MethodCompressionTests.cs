using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Families;
using MoeKernels.Planning;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Models compressed by the methods that spend no budget, and loaded again.</summary>
[Collection("Cpu")]
public sealed class MethodCompressionTests
{
    private const double TileTolerance = 7e-2;

    private static readonly string[] All = ["qmoe", "int:2", "int:3", "int:4"];

    private static string Model => RepositoryPaths.DataFile("novelist-s");

    public static TheoryData<string> Names { get; } = [.. All];

    public static TheoryData<string, string> Fixtures { get; } =
    [
        .. from name in FamilyCompressionTests.Decoders.Select(row => row.Data).Append("switch").Append("nllb_moe")
        from method in All.Where(method => name is "switch" or "qwen3_moe" || method is "qmoe" or "int:3")
        select (name, method),
    ];

    [Theory]
    [MemberData(nameof(Fixtures))]
    public void Fixture_CompressedAndWidened_Agree(string name, string method)
    {
        using TempFolder temp = new();
        string output = TestCompression.Run(Golden.Folder(name), temp["out"], Method(method));
        using ModelFolder folder = ModelFolder.Open(output);
        SublayerSource source = new(folder, FamilyRegistry.Describe(folder.Config));
        using WorkerPool pool = new(2);
        using Golden golden = new(Golden.Folder(name));
        using ForcedRouting run = new(source, pool, golden.Rows("input_ids")[0]);
        (float[] expected, float[] actual) = run.Logits();
        Assert.All(actual, logit => Assert.True(float.IsFinite(logit)));
        if (Method(method).IntegerBits is not null)
        {
            Assert.Equal(expected, actual);
            return;
        }

        double error = ForcedRouting.RelativeError(expected, actual);
        Assert.NotEqual(0, error);
        Assert.InRange(error, 0, TileTolerance);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Model_Compressed_ReportsWhatItIsAndRuns(string name)
    {
        using TempFolder temp = new();
        CompressionReport report = await RunAsync(temp["out"], name);
        string encoding = name == "qmoe" ? "ternary" : name.Replace(":", string.Empty, StringComparison.Ordinal);
        Assert.Equal(name.Split(':')[0], report.Method);
        Assert.Empty(report.Curve);
        CompressedCell[] routed = [.. report.Cells.Where(cell => cell.Routed)];
        Assert.All(routed, cell => Assert.Equal((encoding, encoding), (cell.Encoding, cell.Label)));
        Assert.Equal(report.Sizes.ExpertBytes, routed.Sum(cell => cell.Bytes));
        Assert.Equal(report.Sizes.ExpertWeights, routed.Sum(cell => cell.Weights));

        ModelInfo info = MoeModel.Inspect(temp["out"]);
        Assert.Equal(report.Sizes.ExpertBits, info.ExpertBits, 1e-6);
        Assert.Equal(MoeModel.Inspect(Model).Parameters, info.Parameters);
        Assert.Equal(routed.Length, info.Coded.Count);
        Assert.All(info.Coded, stack => Assert.Equal(encoding, stack.Label));
        Assert.True(MoeModel.Plan(temp["out"]).TotalBytes > 0);
        Assert.Empty(await Compressor.VerifyAsync(temp["out"], null, TestContext.Current.CancellationToken));
        EvaluationResult result = report.Quality[0].Result;
        Assert.InRange(result.Kl!.Value, 1e-4, name == "int:4" ? 0.1 : 2.5);
        if (Method(name).IntegerBits is { } bits)
            Assert.InRange(report.Sizes.ExpertBits, bits + 0.375, bits + 0.45);
        else
            Assert.InRange(report.Sizes.ExpertBits, 0.5, 2.2);
    }

    [Fact]
    public async Task Model_Compared_HasThePointsOfTheOtherMethods()
    {
        using TempFolder temp = new();
        CompressOptions options = Options("int:4") with { Compare = true, Tokens = 1024 };
        CompressionReport report = await Compressor.RunAsync(
            Model, temp["out"], options, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(
            ["qmoe", "plain ternary rounding", "plain rounding", "plain rounding", "plain rounding"],
            report.Comparisons.Select(point => point.Method));
        Assert.All(report.Comparisons, point => Assert.True(point.Bits > 0 && point.Kl > 0));
        ComparisonPoint[] rounded = [.. report.Comparisons.Where(point => point.Method == "plain rounding")];
        Assert.Equal([2.375, 3.375, 4.375], rounded.Select(point => Math.Floor(point.Bits * 200) / 200));
        Assert.True(rounded[0].Kl > rounded[1].Kl && rounded[1].Kl > rounded[2].Kl);
        Assert.True(report.Comparisons[0].Kl < report.Comparisons[1].Kl);
        Assert.Empty(Directory.GetDirectories(temp["out"]));
        string picture = await File.ReadAllTextAsync(
            Path.Combine(temp["out"], "loss.svg"), TestContext.Current.CancellationToken);
        Assert.Contains("plain rounding", picture, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Model_CompressedAgainAfterAStop_KeepsWhatWasCoded()
    {
        using TempFolder temp = new();
        using CancellationTokenSource stop = new();
        int coded = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => RunAsync(temp["out"], "int:3", step =>
        {
            if (step.Stage == "coding" && ++coded == 2)
                stop.Cancel();
        }, stop.Token));
        string first = Path.Combine(temp["out.partial"], LayerFile.Name(0));
        DateTime written = File.GetLastWriteTimeUtc(first);
        await RunAsync(temp["out"], "int:3");
        Assert.Equal(written, File.GetLastWriteTimeUtc(Path.Combine(temp["out"], LayerFile.Name(0))));
        Assert.False(Directory.Exists(temp["out.partial"]));
    }

    [Fact]
    public async Task Model_OfAnyMethod_IsNotCompressedAgain()
    {
        using TempFolder temp = new();
        foreach (string name in (string[])["qmoe", "int:2"])
        {
            string output = TestCompression.Run(Golden.Folder("qwen3_moe"), temp[name[..3]], Method(name));
            Assert.Throws<MoeUnsupportedException>(
                () => TestCompression.Run(output, temp["again"], Method("int:2")));
        }

        await Assert.ThrowsAsync<ArgumentException>(() => Compressor.RunAsync(
            Model, temp["out"], Options("qmoe") with { Bits = 2 },
            cancellationToken: TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<ArgumentException>(() => Compressor.RunAsync(
            Model, temp["out"], Options("int:2") with { MaxKl = 1 },
            cancellationToken: TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("int:5")]
    [InlineData("int")]
    [InlineData("Qmoe")]
    [InlineData("")]
    [InlineData(null)]
    public void Method_OfAnotherName_IsNone(string? text) => Assert.False(CompressMethod.TryParse(text, out _));

    private static CompressMethod Method(string name) =>
        CompressMethod.TryParse(name, out CompressMethod method) ? method : throw new ArgumentException(name);

    private static CompressOptions Options(string name) => new()
    {
        Texts = [.. Directory.GetFiles(RepositoryPaths.DataFile("books")).Select(File.ReadAllText)],
        Method = Method(name), Tokens = 2048, Window = 256, Threads = 2,
    };

    private static Task<CompressionReport> RunAsync(
        string output, string name, Action<CompressProgress>? progress = null,
        CancellationToken cancellation = default) =>
        Compressor.RunAsync(
            Model, output, Options(name), progress is null ? null : new Direct(progress), cancellation);

    private sealed class Direct(Action<CompressProgress> report) : IProgress<CompressProgress>
    {
        public void Report(CompressProgress value) => report(value);
    }
}
