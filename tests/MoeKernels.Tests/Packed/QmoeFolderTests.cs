using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Packed;

/// <summary>The authors' folders to safetensors and back.</summary>
public sealed class QmoeFolderTests : IDisposable
{
    private static readonly string[] TorchFiles = ["exp00.pt", "exp01.pt", "noexp.pt", "sizes.pt", "config.json"];

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Export_OfTheImportedAuthorsFolder_IsTheSameBytes()
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
        Assert.All(TorchFiles, name => AssertSame(QmoeFixture.Checkpoint, _folder["out"], name));
    }

    [Fact]
    public async Task Import_OfTheExportedFolder_IsTheSameBytes()
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
        await QmoeFolder.ImportAsync(_folder["out"], _folder["again"]);
        AssertSameFolders(_folder["in"], _folder["again"]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task Convert_RandomFolder_ThereAndBackIsTheSame(int seed)
    {
        WriteRandom(_folder["source"], new Random(seed));
        await QmoeFolder.ImportAsync(_folder["source"], _folder["in"]);
        await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
        AssertSameFolders(_folder["source"], _folder["out"]);
        await QmoeFolder.ImportAsync(_folder["out"], _folder["again"]);
        AssertSameFolders(_folder["in"], _folder["again"]);
    }

    [Fact]
    public async Task Import_KeepsTokenizersAndTheLike()
    {
        Complete("source");
        File.WriteAllText(Path.Combine(_folder["source"], "tokenizer.json"), "{}");
        await QmoeFolder.ImportAsync(_folder["source"], _folder["in"]);
        Assert.Equal("{}", File.ReadAllText(Path.Combine(_folder["in"], "tokenizer.json")));
        await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
        Assert.Equal("{}", File.ReadAllText(Path.Combine(_folder["out"], "tokenizer.json")));
    }

    [Fact]
    public async Task Export_WithoutAManifest_HoldsTheSameMatricesInOrder()
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        File.Delete(Path.Combine(_folder["in"], QmoeManifest.FileName));
        await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
        using QmoeCheckpoint original = QmoeCheckpoint.Open(QmoeFixture.Checkpoint);
        using QmoeCheckpoint exported = QmoeCheckpoint.Open(_folder["out"]);
        Assert.Equal(original.MatrixNames, exported.MatrixNames);
        Assert.Equal(original.Dense.Tensors.Keys.Order(), exported.Dense.Tensors.Keys.Order());
        foreach (string name in original.MatrixNames.SelectMany(names => names))
            Assert.Equal(QmoeFixture.Decode(original.Read(name)), QmoeFixture.Decode(exported.Read(name)));
    }

    [Theory]
    [InlineData("exp00.pt")]
    [InlineData("noexp.pt")]
    [InlineData("sizes.pt")]
    public async Task Import_DamagedFile_IsRefusedAndLeavesNothing(string name)
    {
        Complete("source");
        string path = Path.Combine(_folder["source"], name);
        byte[] valid = File.ReadAllBytes(path);
        byte[] flipped = [.. valid];
        flipped[valid.Length / 3] ^= 4;
        foreach (byte[] bytes in (byte[][])[valid[..(valid.Length / 2)], flipped, []])
        {
            File.WriteAllBytes(path, bytes);
            await Assert.ThrowsAsync<MoeFormatException>(
                () => QmoeFolder.ImportAsync(_folder["source"], _folder["in"]));
            Assert.Equal(["source"], Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName));
        }
    }

    [Theory]
    [InlineData("c09862c4", "c09862c5", typeof(MoeFormatException))]
    [InlineData("\"version\": 1", "\"version\": 2", typeof(MoeUnsupportedException))]
    [InlineData("\"version\": 1", "\"version\": \"1\"", typeof(MoeFormatException))]
    [InlineData("\"format\": \"qmoe\"", "\"format\": 7", typeof(MoeFormatException))]
    [InlineData("expert_3.wo", "expert_3.wu", typeof(MoeFormatException))]
    [InlineData("shared.weight", "shared.other", typeof(MoeFormatException))]
    [InlineData("\"dense\"", "\"dance\"", typeof(MoeFormatException))]
    public async Task Export_OtherManifest_IsRefusedAndLeavesNothing(string original, string changed, Type error)
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        string path = Path.Combine(_folder["in"], QmoeManifest.FileName);
        string text = File.ReadAllText(path);
        Assert.Contains(original, text, StringComparison.Ordinal);
        File.WriteAllText(path, text.Replace(original, changed, StringComparison.Ordinal));
        Exception thrown = await Assert.ThrowsAnyAsync<MoeException>(
            () => QmoeFolder.ExportAsync(_folder["in"], _folder["out"]));
        Assert.IsType(error, thrown);
        Assert.Equal(["in"], Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName));
    }

    [Fact]
    public async Task Load_CodewordsOfAnotherDictionary_IsRefused()
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        string path = Path.Combine(_folder["in"], QmoeManifest.FileName);
        File.WriteAllText(path, File.ReadAllText(path).Replace("c09862c4", "00000000", StringComparison.Ordinal));
        Assert.Throws<MoeFormatException>(() => MoeModel.Inspect(_folder["in"]));
    }

    [Fact]
    public async Task Convert_IntoAFolderThatHoldsSomething_IsRefused()
    {
        Directory.CreateDirectory(_folder["full"]);
        File.WriteAllText(Path.Combine(_folder["full"], "x"), "y");
        await Assert.ThrowsAsync<MoeException>(
            () => QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["full"]));
        Directory.CreateDirectory(_folder["empty"]);
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["empty"]);
        Assert.True(File.Exists(Path.Combine(_folder["empty"], QmoeManifest.FileName)));
    }

    [Fact]
    public async Task Import_Cancelled_LeavesNothing()
    {
        using var cancellation = new CancellationTokenSource();
        var progress = new CancelAtOnce(cancellation);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => QmoeFolder.ImportAsync(
            QmoeFixture.Checkpoint, _folder["in"], progress, cancellation.Token));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Export_MutatedFolders_OnlyDocumentedErrors()
    {
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["in"]);
        string[] names = ["exp00.safetensors", QmoeManifest.FileName, "dense.safetensors"];
        byte[][] valid = Array.ConvertAll(names, name => File.ReadAllBytes(Path.Combine(_folder["in"], name)));
        int refused = 0;
        for (int seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            int file = random.Next(names.Length);
            byte[] bytes = [.. valid[file]];
            for (int i = random.Next(1, 5); i > 0; i--)
                bytes[random.Next(Math.Min(bytes.Length, 4000))] = (byte)random.Next(256);
            if (random.Next(4) == 0)
                bytes = bytes[..random.Next(bytes.Length)];
            File.WriteAllBytes(Path.Combine(_folder["in"], names[file]), bytes);
            try
            {
                await QmoeFolder.ExportAsync(_folder["in"], _folder["out"]);
                Directory.Delete(_folder["out"], recursive: true);
            }
            catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
            {
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}", e);
            }

            Assert.False(Directory.Exists(_folder["out"]));
            File.WriteAllBytes(Path.Combine(_folder["in"], names[file]), valid[file]);
        }

        Assert.InRange(refused, 50, 150);
    }

    /// <summary>A folder of odd sizes: rows that name every zero, codewords that no encoder would choose, tensors of
    /// every type and rank.</summary>
    private static void WriteRandom(string target, Random random)
    {
        (int width, int inner) = (random.Next(1, 40), random.Next(1, 70));
        string config = $"{{\"d_model\": {width}, \"d_ff\": {inner}, \"x\": \"ä\"}}";
        var writer = new QmoeCheckpointWriter(target, System.Text.Encoding.UTF8.GetBytes(config));
        for (int layer = random.Next(1, 4); layer > 0; layer--)
        {
            var matrices = new List<KeyValuePair<string, QmoeMatrix>>();
            for (int expert = random.Next(1, 4); expert > 0; expert--)
            {
                string name = $"decoder.block.{layer}.layer.2.mlp.experts.expert_{expert}";
                matrices.Add(new($"{name}.wo", RandomMatrix(random, width, inner)));
                matrices.Add(new($"{name}.wi", RandomMatrix(random, inner, width)));
            }

            writer.AddLayer(matrices);
        }

        var dense = new TorchFileWriter();
        ElementType[] types = [ElementType.BF16, ElementType.F32, ElementType.I64, ElementType.U8, ElementType.Bool];
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            long[] shape = [.. Enumerable.Range(0, random.Next(4)).Select(_ => (long)random.Next(5))];
            ElementType type = types[random.Next(types.Length)];
            var bytes = new byte[shape.Aggregate(1L, (product, extent) => product * extent) * type.Bits() / 8];
            dense.Add($"tensor.{i}", type, shape, () => bytes);
        }

        writer.Finish(dense);
    }

    private static QmoeMatrix RandomMatrix(Random random, int rows, int columns)
    {
        var rule = (QmoeSymbolRule)random.Next(2);
        QmoeMatrix matrix = QmoeEncoder.Encode(
            QmoeFixture.RandomTernary(random, rows, columns), rows, columns, rule);
        if (random.Next(2) == 0)
            return matrix;

        // Every pair by a codeword of its own: valid, and twice as long as it need be.
        var codes = new List<ushort>();
        var offsets = new int[rows + 1];
        var symbols = new byte[columns];
        for (int row = 0; row < rows; row++)
        {
            matrix.DecodeSymbols(row, symbols);
            for (int i = 0; i < columns; i += 2)
                QmoeEncoder.EncodeRow(symbols.AsSpan(i, Math.Min(2, columns - i)), codes);
            offsets[row + 1] = codes.Count;
        }

        return QmoeMatrix.Create("test", "matrix", [.. codes], offsets, matrix.Levels.ToArray(), columns);
    }

    private void Complete(string name)
    {
        Directory.CreateDirectory(_folder[name]);
        foreach (string file in TorchFiles)
            File.Copy(Path.Combine(QmoeFixture.Checkpoint, file), Path.Combine(_folder[name], file));
    }

    private static void AssertSameFolders(string expected, string actual)
    {
        string[] names = [.. Directory.GetFiles(expected).Select(path => Path.GetFileName(path)).Order()];
        Assert.Equal(names, Directory.GetFiles(actual).Select(path => Path.GetFileName(path)).Order());
        Assert.All(names, name => AssertSame(expected, actual, name));
    }

    private static void AssertSame(string expected, string actual, string name) => Assert.Equal(
        File.ReadAllBytes(Path.Combine(expected, name)), File.ReadAllBytes(Path.Combine(actual, name)));

    private sealed class CancelAtOnce(CancellationTokenSource source) : IProgress<string>
    {
        public void Report(string value) => source.Cancel();
    }
}
