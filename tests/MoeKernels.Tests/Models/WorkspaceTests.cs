using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models;

/// <summary>The scratch memory a description declares is what its layers take at most: memory plans rest on
/// it.</summary>
public sealed class WorkspaceTests
{
    [Theory]
    [MemberData(nameof(DecoderReferenceTests.Folders), MemberType = typeof(DecoderReferenceTests))]
    public void Forward_WorkspaceOfTheDeclaredSize_Suffices(string name)
    {
        using TestModel model = TestModel.Load(Golden.Folder(name));
        foreach (int rows in new[] { 1, 2, 17, 64 })
        {
            using var workspace = new Workspace(model.Transformer.ScratchFloats(rows, 64, 1));
            using SequenceState sequence = model.Transformer.CreateSequence(64);
            var context = new ForwardContext(model.Pool, workspace);
            context.Batch.Add(sequence, rows);
            var logits = new float[model.Transformer.LogitCount(context.Batch, LogitRows.All)];
            model.Transformer.Forward(context, new int[rows], LogitRows.All, logits);

            Assert.Equal(0, workspace.Mark());
        }
    }

    [Fact]
    public void Take_MoreThanTheCapacity_Throws()
    {
        using var workspace = new Workspace(32);
        Assert.Throws<InvalidOperationException>(() => TakeTwice(workspace));
    }

    [Fact]
    public unsafe void Take_AfterRelease_GivesTheSameMemory()
    {
        using var workspace = new Workspace(64);
        long mark = workspace.Mark();
        float* first = workspace.Take(5);
        workspace.Release(mark);

        Assert.True(first == workspace.Take(30));
    }

    private static unsafe void TakeTwice(Workspace workspace)
    {
        workspace.Take(17);
        workspace.Take(1);
    }
}
