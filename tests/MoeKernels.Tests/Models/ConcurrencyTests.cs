using MoeKernels.Cpu;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models;

/// <summary>One model, many callers.</summary>
public sealed class ConcurrencyTests
{
    [Theory]
    [InlineData("qwen3_moe-yarn")]
    [InlineData("gpt_oss")]
    public async Task Forward_FromSeveralThreads_GivesTheSameBits(string name)
    {
        using var golden = new Golden(Golden.Folder(name));
        int[] tokens = golden.Rows("input_ids")[0];
        using TestModel model = TestModel.Load(Golden.Folder(name));
        float[] expected = model.Prefill(tokens);

        float[][] results = await Task.WhenAll(Enumerable.Range(0, 4).Select(
            _ => Task.Run(() => RunAlone(model.Transformer, tokens, model.Context))));
        Assert.All(results, logits => Assert.Equal(expected, logits));
    }

    [Fact]
    public async Task Dispose_DuringForward_WaitsForTheCall()
    {
        TestModel model = TestModel.Load(Golden.Folder("mixtral"), threads: 2);
        int[] tokens = [.. Enumerable.Range(0, 200).Select(i => i % 96)];
        Task<float[]> running = Task.Run(() => model.Prefill(tokens));
        model.Transformer.Dispose();
        try
        {
            Assert.All(await running, logit => Assert.True(float.IsFinite(logit)));
        }
        catch (ObjectDisposedException)
        {
            // The call began after the model was gone.
        }

        model.Dispose();
    }

    private static float[] RunAlone(Transformer transformer, int[] tokens, int contextLength)
    {
        using var pool = new WorkerPool(2);
        using var workspace = new Workspace(transformer.ScratchFloats(tokens.Length, contextLength, pool.Threads));
        using SequenceState sequence = transformer.CreateSequence(contextLength);
        var context = new ForwardContext(pool, workspace);
        context.Batch.Add(sequence, tokens.Length);
        var logits = new float[tokens.Length * transformer.Description.VocabularySize];
        transformer.Forward(context, tokens, LogitRows.All, logits);
        return logits;
    }
}
