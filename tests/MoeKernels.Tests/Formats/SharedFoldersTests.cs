using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

/// <summary>Opens every model folder under <c>MOEK_TEST_DATA</c>; skipped where that is not set.</summary>
public class SharedFoldersTests
{
    [Fact]
    public async Task ModelFolder_EveryFolderOfTheTestData_OpensAndPrefetches()
    {
        string? root = Environment.GetEnvironmentVariable("MOEK_TEST_DATA");
        Assert.SkipUnless(Directory.Exists(root), "MOEK_TEST_DATA is not set");
        int opened = 0;
        foreach (string config in Directory.GetFiles(root, "config.json", SearchOption.AllDirectories))
        {
            string folder = Path.GetDirectoryName(config)!;
            using ModelFolder model = ModelFolder.Open(folder);
            Assert.NotEmpty(model.Checkpoint.Names);
            Assert.NotEmpty(model.Config.String("model_type"));
            await model.Checkpoint.PrefetchAsync();
            opened++;
        }

        TestContext.Current.SendDiagnosticMessage("opened {0} folders", opened);
        Assert.NotEqual(0, opened);
    }
}
