using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>Compresses folders of the test data on random tokens, without a tokenizer.</summary>
internal static class TestCompression
{
    /// <summary>Tokens of a random text.</summary>
    public static int[] RandomIds(int vocabulary, int count)
    {
        Random random = new(1);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }

    /// <summary>Codes every cell in one way and returns the finished folder.</summary>
    public static string Run(string model, string output, CodeOption option, double? denseBits = null)
    {
        using ModelFolder folder = ModelFolder.Open(model);
        ModelDescription description = FamilyRegistry.Describe(folder.Config);
        using PartialFolder partial = PartialFolder.Open(output);
        using WorkerPool pool = new(2);
        CompressOptions options = new()
        {
            Texts = ["unused"], MaxKl = 1, DenseBits = denseBits, Window = 32, Tokens = 512,
        };
        CompressionRun run = new(
            folder, description, RandomIds(description.VocabularySize, 1024), partial, pool, options, null, default);
        run.Allocate(option);
        run.Code();
        run.WriteRest();
        partial.Complete();
        return output;
    }
}
