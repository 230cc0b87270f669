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
    public void Decode_Warm_AllocatesNothing(string name, int threads)
    {
        using TestModel model = TestModel.Load(Golden.Folder(name), threads);
        using SequenceState sequence = model.NewSequence();
        var logits = new float[model.Transformer.Description.VocabularySize];
        int[] token = [7];
        if (model.Transformer.Description.Encoder is not null)
            model.Encode([sequence], [[5, 6, 8, 9]], [[1, 1, 0, 1]]);
        Decode(model, sequence, token, logits, 8);

        long before = GC.GetAllocatedBytesForCurrentThread();
        Decode(model, sequence, token, logits, 32);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
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
