using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models;

/// <summary>A warm forward call allocates no managed memory.</summary>
public sealed class DecodeAllocationTests
{
    [Theory]
    [InlineData("mixtral-sliding", 1)]
    [InlineData("qwen2_moe", 2)]
    [InlineData("gpt_oss-mxfp4", 2)]
    [InlineData("llama4-text", 1)]
    [InlineData("minimax_m2", 1)]
    [InlineData("pangu_pro_moe", 1)]
    [InlineData("llama", 2)]
    [InlineData("switch", 2)]
    [InlineData("nllb_moe", 2)]
    [InlineData("deepseek_v2-lite", 1)]
    [InlineData("deepseek_v3-fp8", 2)]
#if !DEBUG // Unoptimised code creates an object for each read of a coefficient span in softplus.
    [InlineData("qwen3_next", 1)]
    [InlineData("qwen3_next", 2)]
#endif
    public void Decode_Warm_AllocatesNothing(string name, int threads)
    {
        using TestModel model = TestModel.Load(Golden.Folder(name), threads);
        using SequenceState sequence = model.NewSequence();
        var logits = new float[model.Transformer.Description.VocabularySize];
        int[] token = [7];
        if (model.Transformer.Description.Encoder is not null)
            model.Encode([sequence], [[5, 6, 8, 9]], [[1, 1, 0, 1]]);
        Decode(model, sequence, token, logits, 8);

        // A collection that another test causes ends this thread's allocation block and counts what was left of it.
        long[] allocated = new long[3];
        for (int attempt = 0; attempt < allocated.Length; attempt++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            Decode(model, sequence, token, logits, 16);
            allocated[attempt] = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Contains(0, allocated);
    }

    private static void Decode(TestModel model, SequenceState sequence, int[] token, float[] logits, int tokens)
    {
        for (int i = 0; i < tokens; i++)
        {
            model.Forwarding.Batch.Clear();
            model.Forwarding.Batch.Add(sequence, 1);
            model.Transformer.Forward(model.Forwarding, token, LogitRows.Last, logits);
        }
    }
}
