using MoeKernels.Packed;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Packed;

public sealed class QmoeCheckpointTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Read_EveryMatrixOfTheAuthorsFolder_DecodesToTheGolden()
    {
        using QmoeCheckpoint checkpoint = QmoeCheckpoint.Open(QmoeFixture.Checkpoint);
        string golden = Path.Combine(QmoeFixture.Checkpoint, "golden.safetensors");
        Assert.Equal([8, 8], checkpoint.MatrixNames.Select(names => names.Length));
        foreach (string name in checkpoint.MatrixNames.SelectMany(names => names))
        {
            QmoeMatrix matrix = checkpoint.Read(name);
            Assert.Equal(name.EndsWith(".wi", StringComparison.Ordinal) ? (64, 32) : (32, 64), Shape(matrix));
            Assert.Equal(QmoeFixture.Read<ushort>(golden, $"{name}.weight"), QmoeFixture.Decode(matrix));
        }

        Assert.Equal(48, checkpoint.Dense.Tensors.Count);
        Assert.Equal([96, 32], checkpoint.Dense.Tensors["shared.weight"].Shape);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Write_OfWhatWasRead_IsTheSameFolder(bool encodeAgain)
    {
        using QmoeCheckpoint source = QmoeCheckpoint.Open(QmoeFixture.Checkpoint);
        Copy(source, _folder.Path, encodeAgain);
        foreach (string name in new[] { "exp00.pt", "exp01.pt", "noexp.pt", "sizes.pt", "config.json" })
        {
            byte[] original = File.ReadAllBytes(Path.Combine(QmoeFixture.Checkpoint, name));
            Assert.Equal(original, File.ReadAllBytes(_folder[name]));
        }
    }

    [Fact]
    public void Write_IntoACompleteFolderOrWrongShape_IsRefused()
    {
        Complete();
        byte[] config = File.ReadAllBytes(_folder["config.json"]);
        Assert.Throws<MoeException>(() => new QmoeCheckpointWriter(_folder.Path, config));
        File.Delete(_folder["sizes.pt"]);
        var writer = new QmoeCheckpointWriter(_folder.Path, config);
        QmoeMatrix matrix = QmoeEncoder.Encode(new ushort[64], 2, 32);
        Assert.Throws<ArgumentException>(() => writer.AddLayer([new("expert_0.wi", matrix)]));
        Assert.Throws<MoeFormatException>(() => writer.AddLayer([new("expert_0.other", matrix)]));
    }

    [Theory]
    [InlineData("exp00.pt")]
    [InlineData("exp01.pt")]
    [InlineData("noexp.pt")]
    [InlineData("sizes.pt")]
    [InlineData("config.json")]
    public void Open_WithoutAFile_IsRefused(string missing)
    {
        Complete();
        File.Delete(_folder[missing]);
        Assert.Throws<MoeFormatException>(() => QmoeCheckpoint.Open(_folder.Path));
    }

    [Theory]
    [InlineData("\"d_model\": 32", "\"d_model\": 33")]
    [InlineData("\"d_ff\": 64", "\"d_ff\": 65")]
    [InlineData("\"d_model\": 32", "\"d_model\": 0")]
    public void Read_WithAnotherConfiguration_IsRefused(string original, string changed)
    {
        Complete();
        string config = File.ReadAllText(_folder["config.json"]);
        Assert.Contains(original, config, StringComparison.Ordinal);
        _folder.Write("config.json", config.Replace(original, changed, StringComparison.Ordinal));
        Assert.Throws<MoeFormatException>(() =>
        {
            using QmoeCheckpoint checkpoint = QmoeCheckpoint.Open(_folder.Path);
            foreach (string name in checkpoint.MatrixNames[0])
                checkpoint.Read(name);
        });
    }

    [Fact]
    public void Open_SizesThatContradict_AreRefused()
    {
        Complete();
        using (TorchFile sizes = TorchFile.Open(_folder["sizes.pt"]))
        {
            var writer = new TorchFileWriter();
            foreach ((string name, object value) in sizes.Items)
                writer.Add(name, (long)value + 1);

            writer.Save(_folder["sizes.pt"]);
        }

        Assert.Throws<MoeFormatException>(() => QmoeCheckpoint.Open(_folder.Path));
        new TorchFileWriter().Save(_folder["sizes.pt"]);
        Assert.Throws<MoeFormatException>(() => QmoeCheckpoint.Open(_folder.Path));
    }

    /// <summary>Damages one file anywhere: directory, pickle, headers or data.</summary>
    [Theory]
    [InlineData("exp00.pt")]
    [InlineData("sizes.pt")]
    public void Open_MutatedFiles_OnlyDocumentedErrors(string name)
    {
        Complete();
        byte[] valid = File.ReadAllBytes(_folder[name]);
        int refused = 0;
        const int inputs = 1500;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int seed = 0; seed < inputs; seed++)
        {
            _folder.Write(name, Mutate(valid, new Random(seed)));
            try
            {
                ReadAll(_folder[name]);
            }
            catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
            {
                Assert.InRange(e.Message.Length, 1, 2000);
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}", e);
            }
        }

        Assert.InRange(refused, inputs / 4, inputs);
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / inputs, 0, 1 << 20);
    }

    [Fact]
    public void Read_MutatedPickles_OnlyDocumentedErrors()
    {
        var tensor = new TorchTensor(ElementType.I16, "0", 50, 5, [3, 5, 1]);
        byte[] valid = PickleWriter.Write([new("a", tensor), new("b", tensor), new("c", 70000L), new("d", 1L << 40)]);
        Assert.Equal(4, PickleReader.Read("f", valid).Count);
        for (int seed = 0; seed < 50_000; seed++)
        {
            try
            {
                foreach ((_, object value) in PickleReader.Read("f", Mutate(valid, new Random(seed))))
                {
                    if (value is TorchTensor read)
                        Assert.InRange(read.Offset + read.Count, 0, read.StorageCount);
                }
            }
            catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
            {
                Assert.InRange(e.Message.Length, 1, 2000);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}", e);
            }
        }
    }

    private void Complete()
    {
        foreach (string path in Directory.GetFiles(QmoeFixture.Checkpoint))
            File.Copy(path, _folder[Path.GetFileName(path)]);
    }

    private static (int Rows, int Columns) Shape(QmoeMatrix matrix) => (matrix.Rows, matrix.Columns);

    private static void Copy(QmoeCheckpoint source, string target, bool encodeAgain)
    {
        var writer = new QmoeCheckpointWriter(target, File.ReadAllBytes(
            Path.Combine(QmoeFixture.Checkpoint, "config.json")));
        for (int layer = 0; layer < source.Layers.Count; layer++)
        {
            var matrices = source.MatrixNames[layer].Select(name => KeyValuePair.Create(name, Read(name)));
            writer.AddLayer(matrices, source.Layers[layer].SerializationId);
        }

        using TorchFile sizes = TorchFile.Open(Path.Combine(QmoeFixture.Checkpoint, "sizes.pt"));
        writer.Finish(TorchFileWriter.CopyOf(source.Dense), source.Dense.SerializationId, sizes.SerializationId);

        QmoeMatrix Read(string name)
        {
            QmoeMatrix matrix = source.Read(name);
            return encodeAgain
                ? QmoeEncoder.Encode(
                    QmoeFixture.Decode(matrix), matrix.Rows, matrix.Columns, QmoeSymbolRule.ByEquality)
                : matrix;
        }
    }

    private static void ReadAll(string path)
    {
        using TorchFile file = TorchFile.Open(path);
        foreach (string name in file.Tensors.Keys)
            file.ReadBytes(name);
    }

    private static byte[] Mutate(byte[] valid, Random random)
    {
        List<byte> bytes = [.. valid];
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            if (bytes.Count == 0)
                return [];

            int position = random.Next(bytes.Count);
            int length = Math.Min(random.Next(1, 8), bytes.Count - position);
            switch (random.Next(5))
            {
                case 0:
                    bytes.RemoveRange(position, length);
                    break;
                case 1:
                    bytes.InsertRange(position, bytes.GetRange(position, length));
                    break;
                case 2 when random.Next(4) == 0:
                    bytes.RemoveRange(position, bytes.Count - position);
                    bytes.Add(0);
                    break;
                default:
                    bytes[position] = (byte)(random.Next(3) == 0 ? 255 : random.Next(256));
                    break;
            }
        }

        return [.. bytes];
    }
}
