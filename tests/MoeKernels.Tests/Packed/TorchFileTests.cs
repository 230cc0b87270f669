using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Packed;

public sealed class TorchFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("exp00.pt")]
    [InlineData("exp01.pt")]
    [InlineData("noexp.pt")]
    [InlineData("sizes.pt")]
    public void CopyOf_FilesOfTorch_AreTheSameBytes(string name)
    {
        string original = Path.Combine(QmoeFixture.Checkpoint, name);
        using TorchFile file = TorchFile.Open(original);
        TorchFileWriter.CopyOf(file).Save(_folder[name], file.SerializationId);
        Assert.Equal(File.ReadAllBytes(original), File.ReadAllBytes(_folder[name]));
    }

    [Fact]
    public void Save_EveryTypeAndRank_ComesBack()
    {
        ElementType[] types =
        [
            ElementType.BF16, ElementType.I16, ElementType.I32, ElementType.F32, ElementType.F16, ElementType.I64,
            ElementType.F64, ElementType.U8, ElementType.I8, ElementType.Bool,
        ];
        long[][] shapes = [[], [0], [300], [3, 1], [2, 3, 4], [2, 1, 3, 2], [2, 0, 5]];
        var writer = new TorchFileWriter();
        var expected = new Dictionary<string, byte[]>();
        foreach (ElementType type in types)
        {
            foreach (long[] shape in shapes)
            {
                string name = $"{type}[{string.Join(',', shape)}]";
                var bytes = new byte[shape.Aggregate(1L, (a, b) => a * b) * type.Bits() / 8];
                new Random(expected.Count).NextBytes(bytes);
                expected.Add(name, bytes);
                writer.Add(name, type, shape, () => bytes);
            }
        }

        writer.Save(_folder["all.pt"]);
        using TorchFile file = TorchFile.Open(_folder["all.pt"]);
        Assert.Equal(expected.Keys, file.Items.Select(item => item.Key));
        foreach ((string name, byte[] bytes) in expected)
            Assert.Equal(bytes, file.ReadBytes(name).ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(1000)]
    [InlineData(2003)]
    public void Save_AnyNumberOfIntegers_ComesBack(int count)
    {
        var writer = new TorchFileWriter();
        long[] edges = [0, 255, 256, 65535, 65536, int.MaxValue, 1L << 31, 1L << 40, -1, -128, -129, -1L << 33];
        var values = Enumerable.Range(0, count).Select(i => i < edges.Length ? edges[i] : i).ToArray();
        for (int i = 0; i < count; i++)
            writer.Add($"n{i}", values[i]);

        writer.Save(_folder["n.pt"]);
        using TorchFile file = TorchFile.Open(_folder["n.pt"]);
        Assert.Equal(values, file.Items.Select(item => (long)item.Value));
        Assert.Equal(40, file.SerializationId!.Length);
    }

    /// <summary>Another implementation of ZIP agrees about records and checksums.</summary>
    [Fact]
    public void Save_Archive_IsAnOrdinaryZipFile()
    {
        var writer = new TorchFileWriter();
        byte[] bytes = Encoding.UTF8.GetBytes("0123456789abcdef!?");
        writer.Add("a", ElementType.U8, [bytes.Length], () => bytes);
        writer.Save(_folder["z.pt"]);
        using ZipArchive zip = ZipFile.OpenRead(_folder["z.pt"]);
        string[] names =
        [
            "z/data.pkl", "z/.format_version", "z/.storage_alignment", "z/byteorder", "z/data/0", "z/version",
            "z/.data/serialization_id",
        ];
        Assert.Equal(names, zip.Entries.Select(entry => entry.FullName));
        using var copy = new MemoryStream();
        zip.GetEntry("z/data/0")!.Open().CopyTo(copy);
        Assert.Equal(bytes, copy.ToArray());
    }

    [Fact]
    public void Save_WhenATensorFails_LeavesTheOldFile()
    {
        _folder.Write("old.pt", "old");
        var writer = new TorchFileWriter();
        writer.Add("a", ElementType.U8, [3], () => new byte[2]);
        Assert.Throws<InvalidOperationException>(() => writer.Save(_folder["old.pt"]));
        Assert.Equal("old", File.ReadAllText(Assert.Single(Directory.GetFiles(_folder.Path))));
        Assert.Throws<MoeException>(() => new TorchFileWriter().Save(_folder["no/such/folder.pt"]));
    }

    [Theory]
    [InlineData("cposix\nsystem\nX\u0004\0\0\0true\u0085R.", "posix.system")]
    [InlineData("cbuiltins\neval\n)R.", "builtins.eval")]
    [InlineData("}N.", "opcode 0x4E")]
    [InlineData("(i__main__\nA\n.", "opcode 0x69")]
    [InlineData("\u0080\u0004}.", "protocol 4")]
    public void Read_PicklesThatDoMore_AreRefusedByName(string pickle, string named)
    {
        var e = Assert.Throws<MoeUnsupportedException>(() => PickleReader.Read("f", Encoding.Latin1.GetBytes(pickle)));
        Assert.Contains(named, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("}")]
    [InlineData(".")]
    [InlineData("}}.")]
    [InlineData("}.}")]
    [InlineData("K\u0001.")]
    [InlineData("h\u0000.")]
    [InlineData("(q\u0000.")]
    [InlineData("t.")]
    [InlineData("}(K\u0001u.")]
    [InlineData("}(K\u0001K\u0001u.")]
    [InlineData("}(X\u0001\0\0\0aK\u0001X\u0001\0\0\0aK\u0001u.")]
    [InlineData("}X\u0001\0\0\0a}s.")]
    [InlineData("X\u00FF\u00FF\u00FF\u00FFa.")]
    [InlineData("\u008A\u0009aaaaaaaaa.")]
    [InlineData("}K\u0001R.")]
    [InlineData("(X\u0007\0\0\0storagetQ.")]
    public void Read_PicklesThatAreNotValid_AreRefused(string pickle) =>
        Assert.Throws<MoeFormatException>(() => PickleReader.Read("f", Encoding.Latin1.GetBytes(pickle)));

    [Theory]
    [InlineData(4, "leaves its storage")]
    [InlineData(-1, "leaves its storage")]
    public void Read_TensorOutsideItsStorage_IsRefused(int offset, string problem)
    {
        var tensor = new TorchTensor(ElementType.I16, "0", 5, offset, [2]);
        byte[] pickle = PickleWriter.Write([new("a", tensor)]);
        var e = Assert.Throws<MoeFormatException>(() => PickleReader.Read("f", pickle));
        Assert.Contains(problem, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_MillionsOfDictionaries_AreRefusedBeforeTheyFillTheMemory()
    {
        var pickle = new byte[4 << 20];
        Array.Fill(pickle, (byte)'}');
        Assert.Throws<MoeFormatException>(() => PickleReader.Read("f", pickle));
    }

    [Fact]
    public void Read_ShapeThatOverflows_IsRefused()
    {
        var tensor = new TorchTensor(ElementType.I16, "0", 5, 0, [1L << 40, 1L << 40]);
        byte[] pickle = PickleWriter.Write([new("a", tensor)]);
        Assert.Throws<MoeFormatException>(() => PickleReader.Read("f", pickle));
    }

    [Fact]
    public void Read_WrongTypeNameOrChecksum_IsRefused()
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(QmoeFixture.Checkpoint, "exp00.pt"));
        string path = _folder.Write("exp00.pt", bytes);
        using (TorchFile file = TorchFile.Open(path))
        {
            string name = file.Items[0].Key;
            Assert.Throws<MoeFormatException>(() => file.Read<ushort>(name, ElementType.BF16));
            Assert.Throws<MoeFormatException>(() => file.Read<ushort>("x" + name, ElementType.I16));
        }

        // The first storage starts at 4288; see FORMAT.md.
        bytes[4288] ^= 1;
        using TorchFile damaged = TorchFile.Open(_folder.Write("exp00.pt", bytes));
        var e = Assert.Throws<MoeFormatException>(() => damaged.ReadBytes(damaged.Items[0].Key));
        Assert.Contains("checksum", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_CompressedRecords_AreUnsupported()
    {
        using (ZipArchive zip = ZipFile.Open(_folder["c.pt"], ZipArchiveMode.Create))
        {
            using Stream record = zip.CreateEntry("c/data.pkl", CompressionLevel.Optimal).Open();
            record.Write(PickleWriter.Write([new("a", 1L)]));
        }

        Assert.Throws<MoeUnsupportedException>(() => TorchFile.Open(_folder["c.pt"]));
    }

    [Fact]
    public void Open_DirectoryOf64BitFields_IsRead()
    {
        // The same record, its position and lengths moved to the 64-bit extra field.
        new TorchFileWriter().Save(_folder["n.pt"]);
        byte[] bytes = File.ReadAllBytes(_folder["n.pt"]);
        int end = bytes.Length - 98;
        int start = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(end + 48));
        int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(start + 28));
        byte[] extra = new byte[28];
        (extra[0], extra[2]) = (1, 24);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(start + 24));
        BinaryPrimitives.WriteInt64LittleEndian(extra.AsSpan(4), length);
        BinaryPrimitives.WriteInt64LittleEndian(extra.AsSpan(12), length);
        bytes.AsSpan(start + 20, 8).Fill(0xFF);
        bytes.AsSpan(start + 42, 4).Fill(0xFF);
        bytes[start + 30] = (byte)extra.Length;
        List<byte> large = [.. bytes];
        large.InsertRange(start + 46 + nameBytes, extra);
        byte[] result = [.. large];
        end += extra.Length;
        BinaryPrimitives.WriteInt64LittleEndian(result.AsSpan(end + 40), end - start);
        BinaryPrimitives.WriteInt64LittleEndian(result.AsSpan(end + 64), end);
        using TorchFile file = TorchFile.Open(_folder.Write("large.pt", result));
        Assert.Empty(file.Items);
    }

    [Fact]
    public void Crc32_KnownTextInAnyParts_IsTheStandardValue()
    {
        Assert.Equal(0xCBF43926, Crc32.Of("123456789"u8));
        byte[] bytes = new byte[100];
        new Random(3).NextBytes(bytes);
        for (int cut = 0; cut <= bytes.Length; cut++)
            Assert.Equal(Crc32.Of(bytes), Crc32.Of(bytes.AsSpan(cut), Crc32.Of(bytes.AsSpan(0, cut))));
    }
}
