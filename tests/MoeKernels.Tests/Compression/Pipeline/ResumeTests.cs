using MoeKernels.Compression;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Compressions that are stopped, killed or damaged on the way, and go on to the same bytes.</summary>
[Collection("Cpu")]
public sealed class ResumeTests : IClassFixture<ResumeTests.Reference>, IDisposable
{
    private readonly Reference _reference;
    private readonly TempFolder _folder = new();

    public ResumeTests(Reference reference) => _reference = reference;

    private string Output => _folder["out"];

    private string Partial => _folder["out.partial"];

    private static CompressOptions Options => SmallNovelist.Options;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Threads_AnyNumber_GiveTheSameBytes()
    {
        string one = _folder["one"];
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Compressor.RunAsync(
            _reference.Model, one, SmallNovelist.Everything, StopAt("measuring", 3, stop), stop.Token));
        Assert.True(stop.IsCancellationRequested);
        await Compressor.RunAsync(_reference.Model, one, SmallNovelist.Everything with { Threads = 1 });
        await Run(SmallNovelist.Everything with { Threads = 3 });
        AssertSame(one, Output);
    }

    [Theory]
    [InlineData("coding", 1)]
    [InlineData("coding", 2)]
    [InlineData("writing", 0)]
    [InlineData("evaluating", 0)]
    public async Task Cancelled_InAnyStage_GoesOnToTheSameBytes(string stage, int done)
    {
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Compressor.RunAsync(_reference.Model, Output, Options, StopAt(stage, done, stop), stop.Token));
        Assert.True(stop.IsCancellationRequested);
        Assert.False(Directory.Exists(Output));
        Assert.DoesNotContain(Directory.GetFiles(Partial), file => file.EndsWith(".tmp"));
        await Run(Options);
        AssertSame();
    }

    [Fact]
    public async Task Killed_AfterAnyFile_GoesOnToTheSameBytes()
    {
        string[] files = [.. Directory.GetFiles(_reference.Stopped).OrderBy(File.GetLastWriteTimeUtc)];
        for (int kept = 0; kept < files.Length; kept += 2)
        {
            Directory.CreateDirectory(Partial);
            foreach (string file in files[..kept].Append(files.Single(file => file.EndsWith("state.json"))))
                File.Copy(file, Path.Combine(Partial, Path.GetFileName(file)), overwrite: true);
            File.WriteAllText(Path.Combine(Partial, "coded-00001.safetensors.0123.tmp"), "half");
            await Run(Options);
            AssertSame();
            Directory.Delete(Output, true);
        }
    }

    [Theory]
    [InlineData("state.json", 0)]
    [InlineData("state.json", 40)]
    [InlineData("coded-00000.safetensors", 0)]
    [InlineData("coded-00001.safetensors", 5000)]
    [InlineData("coded-00001.safetensors", -1)]
    [InlineData("rest.safetensors", 100)]
    [InlineData("config.json", 1)]
    public async Task Damaged_FileOfTheStoppedRun_IsMadeAgain(string file, int length)
    {
        CopyStopped();
        string path = Path.Combine(Partial, file);
        byte[] bytes = File.ReadAllBytes(path);
        if (length < 0)
            bytes[^100] ^= 4;
        File.WriteAllBytes(path, length < 0 ? bytes : bytes[..length]);
        await Run(Options);
        AssertSame();
    }

    [Fact]
    public async Task State_WithoutItsFiles_CodesThemAgain()
    {
        CopyStopped();
        Assert.All(Directory.GetFiles(Partial, "*.safetensors"), File.Delete);
        await Run(Options);
        AssertSame();
    }

    [Theory]
    [InlineData("\"losses\": {", "\"losses\": {\"other\": [1],")]
    [InlineData("\"choices\": {", "\"choices\": {\"other\": [8, 1],")]
    [InlineData("\"trials\": [", "\"trials\": [1e999")]
    [InlineData("\"trials\": [", "\"trial\": [")]
    [InlineData("\"key\": \"", "\"key\": \"0")]
    public async Task State_OfOtherCellsOrSettings_IsNotUsed(string part, string other)
    {
        CopyStopped();
        string path = Path.Combine(Partial, "state.json");
        string state = File.ReadAllText(path);
        Assert.Contains(part, state, StringComparison.Ordinal);
        File.WriteAllText(path, state.Replace(part, other, StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(Partial, "left.over"), string.Empty);
        await Run(Options);
        AssertSame();
    }

    [Fact]
    public async Task Restart_Asked_StartsAgain()
    {
        CopyStopped();
        File.WriteAllText(Path.Combine(Partial, "left.over"), string.Empty);
        await Run(Options with { Resume = false });
        AssertSame();
    }

    [Fact]
    public async Task Output_WrittenByAnother_IsRefused()
    {
        MoeException? refused = null;
        await Run(Options, step =>
        {
            if (step is { Stage: "coding", Done: 1 })
            {
                refused = Assert.ThrowsAny<MoeException>(
                    () => Compressor.RunAsync(_reference.Model, Output, Options).GetAwaiter().GetResult());
            }
        });
        Assert.Contains("another process", refused!.Message, StringComparison.Ordinal);
        AssertSame();
    }

    [Fact]
    public async Task MaxKl_StoppedInTheSecondTrial_GoesOnFromItsMeasurements()
    {
        CompressOptions options = Options with { MaxKl = 0.3 };
        await Run(options);
        string expected = File.ReadAllText(Path.Combine(Output, "moekernels.json"));
        Directory.Delete(Output, true);
        int evaluated = 0;
        using CancellationTokenSource stop = new();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Run(options, step =>
        {
            evaluated += step.Stage == "evaluating" ? 1 : 0;
            if (evaluated == 1 && step is { Stage: "coding", Done: 1 })
                stop.Cancel();
        }, stop.Token));
        bool measured = false;
        await Run(options, step => measured |= step.Stage == "measuring");
        Assert.False(measured);
        Assert.Equal(expected, File.ReadAllText(Path.Combine(Output, "moekernels.json")));
    }

    private static Progress StopAt(string stage, int done, CancellationTokenSource stop) => new(step =>
    {
        if (step.Stage == stage && step.Done == done)
            stop.Cancel();
    });

    private Task<CompressionReport> Run(
        CompressOptions options, Action<CompressProgress>? action = null, CancellationToken cancellation = default) =>
        Compressor.RunAsync(
            _reference.Model, Output, options, action is null ? null : new Progress(action), cancellation);

    private void AssertSame() => AssertSame(_reference.Output, Output);

    /// <summary>All files but the report, which tells times.</summary>
    private static void AssertSame(string expected, string actual)
    {
        string[] names = Files(expected);
        Assert.Equal(names, Files(actual));
        foreach (string name in names)
        {
            Assert.True(
                File.ReadAllBytes(Path.Combine(expected, name))
                    .SequenceEqual(File.ReadAllBytes(Path.Combine(actual, name))), name);
        }

        static string[] Files(string folder) => [.. Directory.GetFiles(folder)
            .Select(file => Path.GetFileName(file)!)
            .Where(name => !name.StartsWith("report", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private void CopyStopped()
    {
        Directory.CreateDirectory(Partial);
        foreach (string file in Directory.GetFiles(_reference.Stopped))
            File.Copy(file, Path.Combine(Partial, Path.GetFileName(file)));
    }

    /// <summary>A compression that nobody disturbed, and one that stopped before its evaluation.</summary>
    public sealed class Reference : IAsyncLifetime
    {
        private readonly SmallNovelist _model = new();
        private readonly TempFolder _folder = new();

        public string Model => _model.Path;

        public string Output => _folder["reference"];

        public string Stopped => _folder["stopped.partial"];

        public async ValueTask InitializeAsync()
        {
            await Compressor.RunAsync(Model, Output, Options);
            using CancellationTokenSource stop = new();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Compressor.RunAsync(
                Model, _folder["stopped"], Options, StopAt("evaluating", 0, stop), stop.Token));
        }

        public ValueTask DisposeAsync()
        {
            _model.Dispose();
            _folder.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
