using System.Buffers.Binary;
using System.Diagnostics;
using CsCheck;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Save_SeveralTypes_ReadsBackAlignedAndEqual()
    {
        var writer = new SafetensorsWriter { Metadata = { ["format"] = "pt" } };
        writer.Add("ids", [2, 2], new long[] { 1, -2, 3, long.MaxValue });
        writer.Add("expert", [3], new[] { 7, -8, 9 });
        writer.Add("x", [1, 2], new[] { 1.5f, float.NaN });
        writer.Add<ushort>("bf16", ElementType.BF16, [3], new ushort[] { 0x3F80, 0xC000, 0x7F80 });
        writer.Add<byte>("flag", ElementType.Bool, [], new byte[] { 1 });
        writer.Add("none", [0], ReadOnlyMemory<float>.Empty);
        writer.Save(_folder["a.safetensors"]);

        using SafetensorsFile file = SafetensorsFile.Open(_folder["a.safetensors"]);
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(6, file.Tensors.Count);
        Assert.All(file.Tensors.Values, t => Assert.Equal(0, t.Offset % Math.Max(1, t.ElementType.Bits() / 8)));
        Assert.Equal(0, file.Tensors.Values.Min(t => t.Offset) % 8);
        Assert.Equal([1f, -2f, float.PositiveInfinity], new Tensor(file, file.Tensors["bf16"]).ToSingles());
        Assert.Equal([1.5f, float.NaN], new Tensor(file, file.Tensors["x"]).ToSingles());
        var id = new byte[8];
        file.Read(file.Tensors["ids"], 24, id);
        Assert.Equal(long.MaxValue, BinaryPrimitives.ReadInt64LittleEndian(id));
    }

    [Fact]
    public void Save_OtherOrderOfAdding_GivesTheSameFile()
    {
        string[] names = ["b", "a", "ä", "z.1", "z.10", "z.2"];
        byte[] first = Saved(names);
        Assert.Equal(first, Saved(names.Reverse()));

        byte[] Saved(IEnumerable<string> order)
        {
            var writer = new SafetensorsWriter();
            foreach (string name in order)
                writer.Add<byte>(name, name == "a" ? ElementType.U8 : ElementType.I8, [1], new[] { (byte)name[^1] });

            writer.Save(_folder["a"]);
            return File.ReadAllBytes(_folder["a"]);
        }
    }

    [Fact]
    public void Save_RandomTensors_RoundTrip() => Gen.Select(
            Gen.String.Where(IsUnicode).HashSet[0, 12].Select(set => set.ToArray()),
            Gen.Int[0, 21].Array[12],
            Gen.Long[0, 5].Array[0, 4].Array[12],
            Gen.Int)
        .Sample(
            (names, types, shapes, seed) =>
            {
                var random = new Random(seed);
                var expected = new Dictionary<string, (ElementType Type, long[] Shape, byte[] Data)>();
                var writer = new SafetensorsWriter();
                for (int i = 0; i < names.Length; i++)
                {
                    var type = (ElementType)types[i];
                    if (names[i] == "__metadata__" || !SafetensorsHeader.TryCountBytes(type, shapes[i], out long bytes))
                        continue;

                    var data = new byte[bytes];
                    random.NextBytes(data);
                    expected[names[i]] = (type, shapes[i], data);
                    writer.Add(names[i], type, shapes[i], stream => stream.Write(data));
                }

                string path = _folder[Guid.NewGuid().ToString()];
                writer.Save(path);
                using SafetensorsFile file = SafetensorsFile.Open(path);
                Assert.Equal(expected.Keys.Order(), file.Tensors.Keys.Order());
                foreach ((string name, (ElementType type, long[] shape, byte[] data)) in expected)
                {
                    TensorInfo tensor = file.Tensors[name];
                    Assert.Equal(type, tensor.ElementType);
                    Assert.Equal(shape, tensor.Shape);
                    var read = new byte[data.Length];
                    file.Read(tensor, 0, read);
                    Assert.Equal(data, read);
                }
            },
            iter: 200);

    [Fact]
    public void Save_FailingTensor_LeavesTheOldFileAndNothingElse()
    {
        string path = _folder.Write("a.safetensors", "old");
        var writer = new SafetensorsWriter();
        writer.Add("a", [2], new[] { 1f, 2f });
        writer.Add("b", ElementType.U8, [4], _ => throw new IOException("the source is gone"));

        var error = Assert.Throws<MoeException>(() => writer.Save(path));

        Assert.Contains("the source is gone", error.Message, StringComparison.Ordinal);
        OnlyTheOldFile(path);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(5)]
    public void Save_WrongNumberOfBytes_LeavesTheOldFileAndNothingElse(int bytes)
    {
        string path = _folder.Write("a.safetensors", "old");
        var writer = new SafetensorsWriter();
        writer.Add("a", ElementType.U8, [4], stream => stream.Write(new byte[bytes]));
        Assert.Throws<InvalidOperationException>(() => writer.Save(path));
        OnlyTheOldFile(path);
    }

    [Fact]
    public void Save_Cancelled_LeavesTheOldFileAndNothingElse()
    {
        string path = _folder.Write("a.safetensors", "old");
        using var cancel = new CancellationTokenSource();
        var writer = new SafetensorsWriter();
        writer.Add("a", ElementType.U16, [1], stream =>
        {
            stream.Write(new byte[2]);
            cancel.Cancel();
        });
        writer.Add<byte>("b", ElementType.U8, [1], new byte[1]);
        Assert.Throws<OperationCanceledException>(() => writer.Save(path, cancel.Token));
        OnlyTheOldFile(path);
    }

    [Fact]
    public void Save_IntoAMissingFolder_IsATypedError() =>
        Assert.Throws<MoeException>(() => new SafetensorsWriter().Save(_folder["none/a.safetensors"]));

    [Fact]
    public void Save_OverAFolder_IsATypedErrorAndLeavesNothing()
    {
        string path = _folder["a"];
        Directory.CreateDirectory(path);
        Assert.Throws<MoeException>(() => new SafetensorsWriter().Save(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Save_FullDisk_LeavesTheOldFileAndNothingElse()
    {
        string disk = _folder["disk"];
        Directory.CreateDirectory(disk);
        Assert.SkipUnless(Run("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk), "no right to mount a tmpfs");
        try
        {
            string path = Path.Combine(disk, "a.safetensors");
            File.WriteAllText(path, "old");
            var writer = new SafetensorsWriter();
            writer.Add("a", [1 << 17], new float[1 << 17]);

            var error = Assert.Throws<MoeException>(() => writer.Save(path));

            Assert.Contains(path, error.Message, StringComparison.Ordinal);
            Assert.IsType<IOException>(error.InnerException);
            OnlyTheOldFile(path);
        }
        finally
        {
            Run("umount", disk);
        }
    }

    [Fact]
    public void Add_WrongArguments_AreRefused()
    {
        var writer = new SafetensorsWriter();
        writer.Add("a", [1], new[] { 1f });
        Assert.Throws<ArgumentException>(() => writer.Add("a", [1], new[] { 1f }));
        Assert.Throws<ArgumentException>(() => writer.Add("b", [2], new[] { 1f }));
        Assert.Throws<ArgumentException>(() => writer.Add("__metadata__", [1], new[] { 1f }));
        Assert.ThrowsAny<ArgumentException>(() => writer.Add("\ud800", [1], new[] { 1f }));
        Assert.Throws<ArgumentException>(() => writer.Add("c", ElementType.F4, [3], _ => { }));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Add("d", ElementType.U8, [-1], _ => { }));
        writer.Add("e", ElementType.U8, [(long.MaxValue / 2) - 4], _ => { });
        Assert.Throws<ArgumentException>(() => writer.Add("f", ElementType.U8, [1], _ => { }));
    }

    private static void OnlyTheOldFile(string path)
    {
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!));
    }

    private static bool IsUnicode(string text) => text.EnumerateRunes().All(rune => rune.Value != 0xFFFD);

    private static bool Run(string program, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
