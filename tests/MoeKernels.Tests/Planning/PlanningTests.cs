using MoeKernels.Planning;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Planning;

public class PlanningTests
{
    private static string Model => RepositoryPaths.DataFile("novelist-s");

    [Fact]
    public void Inspect_SampleModel_CountsItsParameters()
    {
        var info = MoeModel.Inspect(Model);
        long file = new FileInfo(Path.Combine(Model, "model.safetensors")).Length;
        Assert.InRange(info.Bytes, file - 64 * 1024, file);
        Assert.Equal(info.Bytes / 2, info.Parameters);
        Assert.Equal(16, info.ExpertBits);
        Assert.Equal(4, info.MoeLayers);
        Assert.True(info.ActiveParameters < info.Parameters);
        Assert.DoesNotContain(info.Parts, part => part.Role == WeightRole.Unused);
    }

    /// <summary>Every family's tensors have a role: none is read without being counted.</summary>
    [Fact]
    public void Inspect_EveryFixture_LeavesOnlyPredictionLayersUnused()
    {
        foreach (string folder in Directory.GetDirectories(RepositoryPaths.DataFile("models")))
        {
            if (File.Exists(Path.Combine(folder, "config.json")))
            {
                var info = MoeModel.Inspect(folder);
                Assert.True(info.Parameters > 0, folder);
                Assert.DoesNotContain(info.Tensors, tensor => tensor.Role == WeightRole.Unused);
            }
        }
    }

    [Fact]
    public void Plan_LongerContext_TakesMoreStateAndTheSameWeights()
    {
        var machine = new HardwareInfo(2, 1L << 30, 1L << 30, "AVX2");
        var small = MoeModel.Plan(Model, new MoeLoadOptions { ContextLength = 64 }, machine);
        var large = MoeModel.Plan(Model, new MoeLoadOptions { ContextLength = 512 }, machine, sessions: 2);
        Assert.Equal(16 * small.StateBytes, large.StateBytes);
        Assert.Equal(small.ExpertBytes, large.ExpertBytes);

        // fp32 keys and values of 4 layers, one key/value head of 64.
        Assert.Equal(64L * 4 * 2 * 64 * sizeof(float), small.StateBytes);
        Assert.True(small.Fits);
        Assert.Empty(small.Advice);
        var tiny = MoeModel.Plan(Model, hardware: machine with { AvailableMemoryBytes = 1 << 20 });
        Assert.False(tiny.Fits);
        Assert.NotEmpty(tiny.Advice);
    }

    [Fact]
    public void Plan_ContextBeyondTheModel_Throws() => Assert.Throws<ArgumentOutOfRangeException>(
        () => MoeModel.Plan(Model, new MoeLoadOptions { ContextLength = 513 }));

    [Fact]
    public void Doctor_PassesOnThisMachine() =>
        Assert.DoesNotContain(Doctor.CheckMachine(), check => check.Status == CheckStatus.Fail);
}
