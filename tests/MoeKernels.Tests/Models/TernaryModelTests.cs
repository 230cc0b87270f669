using MoeKernels.Models.Execution;
using MoeKernels.Planning;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Models;

/// <summary>A whole model whose experts are QMoE's codewords, as its authors' code wrote it.</summary>
public sealed class TernaryModelTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Record_WithExactProducts_MatchesTheDenseTwin(bool imported)
    {
        using Golden golden = new(QmoeFixture.Checkpoint);
        float[] logits = await LogitsAsync(await FolderAsync(imported), golden, exact: true);
        golden.AssertClose("logits", logits);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Record_WithTiles_IsCloseToTheDenseTwin(bool imported)
    {
        using Golden golden = new(QmoeFixture.Checkpoint);
        float[] logits = await LogitsAsync(await FolderAsync(imported), golden, exact: false);
        float[] expected = golden.Floats("logits");
        double error = logits.Zip(expected, (a, b) => Math.Pow(a - b, 2)).Sum();
        Assert.InRange(Math.Sqrt(error / expected.Sum(value => value * value)), 1e-6, 5e-2);
    }

    [Fact]
    public async Task Record_WithTiles_GivesTheSameBitsOnAnyThreads()
    {
        using Golden golden = new(QmoeFixture.Checkpoint);
        string folder = await FolderAsync(imported: true);
        Assert.Equal(
            await LogitsAsync(folder, golden, exact: false, threads: 1),
            await LogitsAsync(folder, golden, exact: false, threads: 3));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Inspect_CodewordFolder_CountsTheWeightsTheyStandFor(bool imported)
    {
        ModelInfo info = MoeModel.Inspect(await FolderAsync(imported));
        ModelPart experts = info.Parts.Single(part => part.Role == WeightRole.RoutedExperts);
        Assert.Equal(2 * 4 * 2 * 32 * 64, experts.Parameters);
        Assert.InRange(info.ExpertBits, 2, 4);
        Assert.DoesNotContain(info.Parts, part => part.Role == WeightRole.Unused);
    }

    [Fact]
    public async Task Plan_CodewordFolder_CountsItsTiles()
    {
        string folder = await FolderAsync(imported: false);
        using MoeModel model = await MoeModel.LoadAsync(folder);
        long tiles = MoeModel.Plan(folder).CopiedBytes;
        Assert.InRange(tiles, 16 * 64 * 2, 16 * (64 * 32));
        Assert.Equal(tiles, model.Memory.CopiedBytes);
    }

    [Fact]
    public async Task Load_FolderWithAFlippedBit_IsRefused()
    {
        foreach (string path in Directory.GetFiles(QmoeFixture.Checkpoint))
            File.Copy(path, _folder[Path.GetFileName(path)]);
        byte[] dense = File.ReadAllBytes(_folder["noexp.pt"]);
        dense[dense.Length / 2] ^= 1;
        _folder.Write("noexp.pt", dense);
        await Assert.ThrowsAsync<MoeFormatException>(() => MoeModel.LoadAsync(_folder.Path));
    }

    [Fact]
    public async Task Load_MutatedCodewords_OnlyDocumentedErrors()
    {
        string folder = await FolderAsync(imported: true);
        string path = Path.Combine(folder, "exp00.safetensors");
        byte[] valid = File.ReadAllBytes(path);
        int refused = 0;
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = [.. valid];
            for (int i = random.Next(1, 4); i > 0; i--)
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(path, random.Next(5) == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                using MoeModel model = await MoeModel.LoadAsync(folder, new MoeLoadOptions { Threads = 1 });
            }
            catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
            {
                refused++;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}", e);
            }
        }

        Assert.InRange(refused, 20, 60);
    }

    private static async Task<float[]> LogitsAsync(string folder, Golden golden, bool exact, int threads = 2)
    {
        var options = new MoeLoadOptions { ExactTernary = exact, Threads = threads };
        using MoeModel model = await MoeModel.LoadAsync(folder, options);
        var input = new ForwardInput(2, golden.Ints("input_ids"), null, golden.Ints("decoder_input_ids"));
        IReadOnlyList<RecordedTensor> tensors = await model.RecordAsync(input);
        return tensors.Single(tensor => tensor.Name == "logits").Values!;
    }

    private async Task<string> FolderAsync(bool imported)
    {
        if (!imported)
            return QmoeFixture.Checkpoint;
        await QmoeFolder.ImportAsync(QmoeFixture.Checkpoint, _folder["imported"]);
        return _folder["imported"];
    }
}
