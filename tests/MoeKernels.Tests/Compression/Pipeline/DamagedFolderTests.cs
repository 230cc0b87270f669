using System.Runtime.InteropServices;
using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Compressed folders with damage: loading refuses it by name, or the checksums find it.</summary>
[Collection("Cpu")]
public sealed class DamagedFolderTests : IClassFixture<DamagedFolderTests.Compressed>, IDisposable
{
    private const int FlipsPerFile = 12;
    private const string Stack = "model.layers.0.mlp.experts.down_proj.weight";

    private readonly TempFolder _folder = new();

    public DamagedFolderTests(Compressed compressed)
    {
        foreach (string file in Directory.GetFiles(compressed.Path))
            File.Copy(file, _folder[Path.GetFileName(file)]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Bit_FlippedInAnyFile_IsFoundByTheChecksums()
    {
        Random random = new(1);
        string[] names = [.. Directory.GetFiles(_folder.Path).Select(Path.GetFileName).OfType<string>()
            .Where(name => !name.StartsWith("report", StringComparison.Ordinal) && !name.EndsWith(".svg"))];
        Assert.Contains("config.json", names);
        foreach (string name in names.Where(name => name != Manifest.FileName))
        {
            byte[] bytes = File.ReadAllBytes(_folder[name]);
            for (int i = 0; i < FlipsPerFile; i++)
            {
                byte[] damaged = [.. bytes];
                damaged[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
                _folder.Write(name, damaged);
                Assert.Equal([name], await Compressor.VerifyAsync(_folder.Path));
            }

            _folder.Write(name, bytes);
        }
    }

    [Fact]
    public async Task Bit_FlippedInTheManifest_IsFoundOrChangesNoFile()
    {
        byte[] bytes = File.ReadAllBytes(_folder[Manifest.FileName]);
        int found = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            byte[] damaged = [.. bytes];
            damaged[i] ^= 4;
            _folder.Write(Manifest.FileName, damaged);
            try
            {
                found += (await Compressor.VerifyAsync(_folder.Path)).Count > 0 ? 1 : 0;
            }
            catch (MoeException)
            {
                found++;
            }
        }

        // The name of the method and a space are all that can change.
        Assert.InRange(found, bytes.Length - "codebook".Length - 60, bytes.Length);
    }

    [Theory]
    [InlineData(".header", 4, 1, ".codes")]
    [InlineData(".header", 12, 1, ".codes")]
    [InlineData(".header", 16, 2, ".codes")]
    [InlineData(".header", 20, 8, ".header")]
    [InlineData(".header", 24, 6, ".header")]
    [InlineData(".header", 60, 1, ".header")]
    [InlineData(".scales", 1, 0x80, ".scales")]
    [InlineData(".codebook", 0, 0x80, ".codebook")]
    [InlineData(".inputs", 1, 0x80, ".inputs")]
    public async Task Tensor_Damaged_IsRefusedByItsName(string suffix, int place, int bits, string named)
    {
        string path = FileOf(Stack + suffix);
        Damage(path, Stack + suffix, place, (byte)bits);
        MoeFormatException e = await Assert.ThrowsAsync<MoeFormatException>(() => MoeModel.LoadAsync(_folder.Path));
        Assert.Equal(path, e.File);
        Assert.Equal(Stack + named, e.Item);
        Assert.Equal([Path.GetFileName(path)], await Compressor.VerifyAsync(_folder.Path));
    }

    [Fact]
    public void Dimension_OtherThanTheHeaderSays_IsRefused()
    {
        string path = FileOf(Stack + ".header");
        using (Checkpoint checkpoint = Checkpoint.Open(_folder.Path))
        {
            byte[] header = new byte[64];
            checkpoint.Get(Stack + ".header").Read(0, header);
            Assert.InRange(MemoryMarshal.Cast<byte, int>(header)[3], 2, 16);
        }

        Damage(path, Stack + ".header", 12, 1);
        MoeFormatException e = Assert.Throws<MoeFormatException>(() => MoeModel.Inspect(_folder.Path));
        Assert.Equal(path, e.File);
    }

    [Fact]
    public async Task Version_NewerThanThisCode_IsRefusedAsSuch()
    {
        Damage(FileOf(Stack + ".header"), Stack + ".header", 0, 1 ^ 2);
        MoeUnsupportedException tensors = await Assert.ThrowsAsync<MoeUnsupportedException>(
            () => MoeModel.LoadAsync(_folder.Path));
        Assert.Contains("version 2 of codebook matrices", tensors.Message, StringComparison.Ordinal);
        Damage(FileOf(Stack + ".header"), Stack + ".header", 0, 1 ^ 2);

        string text = File.ReadAllText(_folder[Manifest.FileName]);
        _folder.Write(Manifest.FileName, text.Replace("\"format_version\": 1", "\"format_version\": 2"));
        foreach (Func<Task> use in (Func<Task>[])[
            () => MoeModel.LoadAsync(_folder.Path), () => Compressor.VerifyAsync(_folder.Path),
            () => Task.Run(() => MoeModel.Inspect(_folder.Path))])
        {
            MoeUnsupportedException folder = await Assert.ThrowsAsync<MoeUnsupportedException>(use);
            Assert.Contains("version 2 of compressed folders", folder.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("model.layers.0.mlp.experts.3.down_proj.weight")]
    [InlineData("model.layers.0.mlp.experts.down_proj")]
    [InlineData("model.layers.0.self_attn.q_proj.weight")]
    public async Task Weights_DenseAndCoded_AreRefusedAsAmbiguous(string dense)
    {
        File.Delete(_folder["model.safetensors.index.json"]);
        var writer = new SafetensorsWriter();
        writer.Add(dense, [1], new float[1]);
        writer.Save(_folder["more.safetensors"]);
        MoeFormatException e = await Assert.ThrowsAsync<MoeFormatException>(() => MoeModel.LoadAsync(_folder.Path));
        Assert.Equal(dense, e.Item);
        Assert.Contains("remove one of them", e.Message, StringComparison.Ordinal);
    }

    private string FileOf(string tensor)
    {
        using Checkpoint checkpoint = Checkpoint.Open(_folder.Path);
        return checkpoint.Get(tensor).FilePath;
    }

    /// <summary>Flips bits of a byte of a tensor.</summary>
    private static void Damage(string path, string tensor, int place, byte bits)
    {
        long offset;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
            offset = file.Tensors[tensor].Offset;
        byte[] bytes = File.ReadAllBytes(path);
        bytes[offset + place] ^= bits;
        File.WriteAllBytes(path, bytes);
    }

    /// <summary>A compressed model with coded attention.</summary>
    public sealed class Compressed : IAsyncLifetime
    {
        private readonly TempFolder _folder = new();

        public string Path => _folder["out"];

        public async ValueTask InitializeAsync()
        {
            using SmallNovelist model = new();
            await Compressor.RunAsync(model.Path, Path, SmallNovelist.Options with { DenseBits = 3 });
        }

        public ValueTask DisposeAsync()
        {
            _folder.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
