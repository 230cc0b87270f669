using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Formats;

public sealed class LinkedFolderTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("moe-links-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>A snapshot of Hugging Face's cache: every file is a relative link to a blob elsewhere.</summary>
    [Fact]
    public async Task Load_FolderOfLinks_ReadsTheirTargets()
    {
        string snapshot = Directory.CreateDirectory(Path.Combine(_folder, "snapshots", "abc")).FullName;
        string blobs = Directory.CreateDirectory(Path.Combine(_folder, "blobs")).FullName;
        foreach (string file in Directory.GetFiles(RepositoryPaths.DataFile("novelist-s")))
        {
            string name = Path.GetFileName(file);
            File.CreateSymbolicLink(Path.Combine(blobs, $"{name}-blob"), file);
            File.CreateSymbolicLink(Path.Combine(snapshot, name), Path.Combine("..", "..", "blobs", $"{name}-blob"));
        }

        using var model = await MoeModel.LoadAsync(snapshot);
        Assert.NotNull(model.Tokenizer);
        Assert.Equal(16, model.Info.Experts);
    }

    [Fact]
    public async Task Load_LinkThatLeadsNowhere_NamesTheFile()
    {
        File.CreateSymbolicLink(Path.Combine(_folder, "config.json"), Path.Combine(_folder, "gone.json"));
        var error = await Assert.ThrowsAsync<MoeFormatException>(() => MoeModel.LoadAsync(_folder));
        Assert.Contains("config.json", error.Message, StringComparison.Ordinal);
    }
}
