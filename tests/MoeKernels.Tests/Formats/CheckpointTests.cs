using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public sealed class CheckpointTests : IDisposable
{
    private const string Index = "model.safetensors.index.json";

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_SingleFile_WinsOverOtherFiles()
    {
        WriteShard("model.safetensors", "a");
        WriteShard("golden.safetensors", "a", "b");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(["a"], checkpoint.Names);
        Assert.Equal(4, checkpoint.ByteLength);
        Assert.Equal([_folder["model.safetensors"]], checkpoint.Files);
    }

    [Fact]
    public void Open_IndexWithShards_FindsTensorsAcrossFiles()
    {
        WriteShard("m-1.safetensors", "a", "b");
        WriteShard("m-2.safetensors", "c", "unlisted");
        WriteShard("other.safetensors", "d");
        WriteIndex(("a", "m-1.safetensors"), ("b", "m-1.safetensors"), ("c", "m-2.safetensors"));
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(["a", "b", "c", "unlisted"], checkpoint.Names.Order());
        Assert.Equal(_folder["m-2.safetensors"], checkpoint.Get("c").FilePath);
        Assert.Equal([1f], checkpoint.Get("b").ToSingles());
    }

    [Fact]
    public void Open_NeitherSingleFileNorIndex_TakesAllFiles()
    {
        WriteShard("b.safetensors", "b");
        WriteShard("a.safetensors", "a");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Assert.Equal(["a", "b"], checkpoint.Names.Order());
    }

    [Fact]
    public void Open_TensorInTwoFiles_IsRefused()
    {
        WriteShard("a.safetensors", "t");
        WriteShard("b.safetensors", "t");
        Refused(_folder["b.safetensors"], "t", $"also in {_folder["a.safetensors"]}");
    }

    [Fact]
    public void Open_MissingShard_NamesTheShard()
    {
        WriteShard("m-1.safetensors", "a");
        WriteIndex(("a", "m-1.safetensors"), ("b", "m-2.safetensors"));
        Refused(_folder["m-2.safetensors"], "b", "does not exist");
    }

    [Fact]
    public void Open_ListedTensorNotInItsShard_IsRefused()
    {
        WriteShard("m-1.safetensors", "a");
        WriteIndex(("a", "m-1.safetensors"), ("b", "m-1.safetensors"));
        Refused(_folder["m-1.safetensors"], "b", "missing");
    }

    [Fact]
    public void Open_ListedTensorInAnotherShard_IsRefused()
    {
        WriteShard("m-1.safetensors", "a", "b");
        WriteShard("m-2.safetensors", "c");
        WriteIndex(("a", "m-1.safetensors"), ("b", "m-2.safetensors"));
        Refused(_folder[Index], "b", "m-1.safetensors");
    }

    [Theory]
    [InlineData("../x.safetensors")]
    [InlineData("sub/../../x.safetensors")]
    [InlineData("..\\x.safetensors")]
    [InlineData("/etc/passwd")]
    public void Open_IndexEscapingFromTheFolder_IsRefused(string shard)
    {
        WriteIndex(("a", shard));
        Refused(_folder[Index], "a", "outside the folder");
    }

    [Theory]
    [InlineData("", "not valid JSON")]
    [InlineData("[]", "no such object")]
    [InlineData("{}", "no such object")]
    [InlineData("""{"weight_map":[]}""", "no such object")]
    [InlineData("""{"weight_map":{}}""", "lists no tensor")]
    [InlineData("""{"weight_map":{"a":1}}""", "names no file")]
    [InlineData("""{"weight_map":{"a":null}}""", "names no file")]
    [InlineData("""{"weight_map":{"a":""}}""", "names no file")]
    [InlineData("""{"weight_map":{"a":"x\u0000y"}}""", "names no file")]
    [InlineData("""{"weight_map":{"a":"\ud800"}}""", "not valid JSON")]
    [InlineData("""{"weight_map":{"a":"x","a":"y"}}""", "not valid JSON")]
    public void Open_WrongIndex_IsRefused(string json, string problem)
    {
        _folder.Write(Index, json);
        Refused(_folder[Index], null, problem);
    }

    [Fact]
    public void Open_DeepIndex_IsRefused()
    {
        _folder.Write(Index, new string('[', 100_000));
        Refused(_folder[Index], null, "not valid JSON");
    }

    [Fact]
    public void Open_DamagedShard_NamesTheShardAndClosesTheOthers()
    {
        WriteShard("a.safetensors", "a");
        _folder.Write("b.safetensors", "short");
        Refused(_folder["b.safetensors"], null, "too short");
    }

    [Fact]
    public void Open_EmptyFolder_SaysWhatIsLookedFor() => Refused(_folder.Path, null, "any other *.safetensors file");

    [Fact]
    public void Open_MissingFolder_IsRefused() =>
        Assert.Throws<MoeFormatException>(() => Checkpoint.Open(_folder["none"]));

    [Theory]
    [InlineData("model-q4.gguf")]
    [InlineData("pytorch_model.bin")]
    public void Open_ForeignWeights_AreNamed(string file)
    {
        _folder.Write(file, "x");
        var error = Assert.Throws<MoeUnsupportedException>(() => Checkpoint.Open(_folder.Path));
        Assert.Contains(file, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Get_MissingTensor_NamesFolderTensorAndNearNames()
    {
        WriteShard(
            "model.safetensors", "model.layers.0.mlp.gate.weight", "model.layers.1.mlp.gate.weight", "lm_head.weight");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        var error = Assert.Throws<MoeFormatException>(() => checkpoint.Get("model.layers.0.mlp.gates.weight"));
        Assert.Equal(_folder.Path, error.File);
        Assert.Equal("model.layers.0.mlp.gates.weight", error.Item);
        Assert.Contains("near names: 'model.layers.0.mlp.gate.weight'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("lm_head", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("near", Assert.Throws<MoeFormatException>(() => checkpoint.Get("q")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checkpoint_AfterDispose_ThrowsAndDisposeIsIdempotent()
    {
        WriteShard("model.safetensors", "a");
        Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        Tensor tensor = checkpoint.Get("a");
        checkpoint.Dispose();
        checkpoint.Dispose();
        Assert.Throws<ObjectDisposedException>(() => checkpoint.Get("a"));
        Assert.Throws<ObjectDisposedException>(() => checkpoint.Contains("a"));
        Assert.Throws<ObjectDisposedException>(() => tensor.ToSingles());
        Assert.Throws<ObjectDisposedException>(() => tensor.Read(0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => checkpoint.Acquire().Dispose());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => checkpoint.PrefetchAsync());
    }

    [Fact]
    public unsafe void Lease_HeldDuringDispose_KeepsTheBytes()
    {
        WriteShard("model.safetensors", "a", "b");
        Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        float* data = (float*)checkpoint.Get("b").Data;
        using Lifetime.Lease lease = checkpoint.Acquire();
        checkpoint.Dispose();
        Assert.Equal(1f, *data);
        Assert.Throws<ObjectDisposedException>(() => checkpoint.Acquire().Dispose());
    }

    [Fact]
    public async Task Prefetch_AllTensors_ReportsEveryByteInGrowingOrder()
    {
        const int length = 5 << 20;
        var writer = new SafetensorsWriter();
        writer.Add("big", [length], new float[length]);
        writer.Add("small", [1], new float[1]);
        writer.Save(_folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        var reports = new Reports();
        await checkpoint.PrefetchAsync(null, reports);
        Assert.Equal(checkpoint.ByteLength, reports.Seen[^1].BytesRead);
        Assert.All(reports.Seen, report => Assert.Equal(checkpoint.ByteLength, report.BytesTotal));
        Assert.Equal(reports.Seen.Select(r => r.BytesRead).Order(), reports.Seen.Select(r => r.BytesRead));
        Assert.Equal(3, reports.Seen.Count);
    }

    [Fact]
    public async Task Prefetch_NamedTensors_ReadsOnlyThem()
    {
        WriteShard("model.safetensors", "a", "b", "c");
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        var reports = new Reports();
        await checkpoint.PrefetchAsync(["a", "c", "a"], reports);
        Assert.Equal(new LoadProgress(8, 8), reports.Seen[^1]);
        await Assert.ThrowsAsync<MoeFormatException>(() => checkpoint.PrefetchAsync(["d"]));
    }

    [Fact]
    public async Task Prefetch_Cancelled_StopsBetweenPieces()
    {
        const int length = 32 << 20;
        var writer = new SafetensorsWriter();
        writer.Add("big", ElementType.U8, [length], stream => stream.Write(new byte[length]));
        writer.Save(_folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        using var cancel = new CancellationTokenSource();
        var reports = new Reports { OnReport = cancel.Cancel };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => checkpoint.PrefetchAsync(null, reports, cancel.Token));
        Assert.NotEqual(length, reports.Seen[^1].BytesRead);
    }

    [Fact]
    public async Task Prefetch_FileCutAfterOpening_IsATypedError()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the kernel's answer instead of a bus error needs Linux 5.14");
        WriteShard("model.safetensors", [.. Enumerable.Range(0, 4096).Select(i => $"tensor.{i}")]);
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        string path = checkpoint.Files[0];
        using (var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            file.SetLength(8);

        await Assert.ThrowsAsync<MoeFormatException>(() => checkpoint.PrefetchAsync());
    }

    /// <summary>Writes one fp32 scalar a name, with its position as value.</summary>
    private void WriteShard(string file, params string[] names)
    {
        var writer = new SafetensorsWriter();
        for (int i = 0; i < names.Length; i++)
            writer.Add(names[i], [1], new float[] { i });

        writer.Save(_folder[file]);
    }

    private void WriteIndex(params (string Tensor, string File)[] map)
    {
        string entries = string.Join(",", map.Select(m =>
            $"\"{m.Tensor}\":\"{m.File.Replace("\\", "\\\\", StringComparison.Ordinal)}\""));
        _folder.Write(Index, $$$"""{"metadata":{"total_size":1},"weight_map":{{{{entries}}}}}""");
    }

    private void Refused(string file, string? tensor, string problem)
    {
        var error = Assert.Throws<MoeFormatException>(() => Checkpoint.Open(_folder.Path));
        Assert.Equal(file, error.File);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        if (tensor is not null)
            Assert.Equal(tensor, error.Item);
    }

    /// <summary>Collects reports at once, unlike <see cref="Progress{T}"/>, which posts them.</summary>
    private sealed class Reports : IProgress<LoadProgress>
    {
        internal List<LoadProgress> Seen { get; } = [];

        internal Action? OnReport { get; init; }

        public void Report(LoadProgress value)
        {
            Seen.Add(value);
            OnReport?.Invoke();
        }
    }
}
