using MoeKernels.Planning;
using MoeKernels.Tests.Models;
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

    /// <summary>Fused experts stored inputs first are transposed into memory and then not read from the files
    /// again.</summary>
    [Fact]
    public void Plan_FusedExpertsInputsFirst_CountsThemAsCopies()
    {
        using var variant = ModelVariant.Of("qwen3_moe");
        variant.Fuse(inputsFirst: true);
        string folder = variant.Save();
        long experts = MoeModel.Inspect(folder).Parts.First(part => part.Role == WeightRole.RoutedExperts).Bytes;
        var plan = MoeModel.Plan(folder);
        Assert.Equal(0, plan.ExpertBytes);
        using var loaded = TestModel.Load(folder);
        Assert.InRange(loaded.Transformer.CopiedBytes, experts, 2 * experts);
        Assert.InRange(plan.CopiedBytes, experts, loaded.Transformer.CopiedBytes);

        using var straight = ModelVariant.Of("qwen3_moe");
        straight.Fuse(inputsFirst: false);
        var mapped = MoeModel.Plan(straight.Save());
        Assert.Equal(experts, mapped.ExpertBytes);
        Assert.Equal(plan.CopiedBytes - experts, mapped.CopiedBytes);
    }

    /// <summary>Exports of a language model keep or drop the prefix of the multimodal checkpoint.</summary>
    [Fact]
    public void Inspect_LanguageModelsPrefix_ChangesNoRole()
    {
        using var variant = ModelVariant.Of("llama4-text");
        var expected = MoeModel.Inspect(variant.Save());
        foreach (string name in variant.Tensors.Keys.ToArray())
            variant.Rename(name, $"language_model.{name}");
        var info = MoeModel.Inspect(variant.Save());
        Assert.Equal(expected.Parts, info.Parts);
    }

    /// <summary>States of millions of positions times millions of missing bytes need more than 64 bits.</summary>
    [Fact]
    public void Advice_ContextOfTenMillion_StaysInsideIt()
    {
        var plan = new MemoryPlan
        {
            ExpertBytes = 0,
            OtherWeightBytes = 0,
            CopiedBytes = 0,
            StateBytes = 10_485_760L * 393_216,
            WorkspaceBytes = 0,
            RuntimeBytes = 0,
            ContextLength = 10_485_760,
            Sessions = 1,
            PrefillChunk = 512,
            Hardware = new HardwareInfo(2, 1L << 40, 1L << 40, "AVX2"),
            BytesPerToken = 1,
        };

        long fitting = (1L << 40) / 393_216;
        Assert.Contains(plan.Advice, line => line.Contains($" {fitting} tokens", StringComparison.Ordinal)
            || line.Contains($" {fitting - 1} tokens", StringComparison.Ordinal));
    }

    [Fact]
    public void Plan_ContextBeyondTheModel_Throws() => Assert.Throws<ArgumentOutOfRangeException>(
        () => MoeModel.Plan(Model, new MoeLoadOptions { ContextLength = 513 }));

    [Fact]
    public void Doctor_PassesOnThisMachine() =>
        Assert.DoesNotContain(Doctor.CheckMachine(), check => check.Status == CheckStatus.Fail);
}
