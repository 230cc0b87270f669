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
    public static string Run(string model, string output, CodeOption option, double? denseBits = null) =>
        Run(model, output, new CompressOptions { Texts = ["unused"], MaxKl = 1, DenseBits = denseBits }, option);

    /// <summary>Codes every cell by a method without a budget and returns the finished folder.</summary>
    public static string Run(string model, string output, CompressMethod method, double? denseBits = null) =>
        Run(model, output, new CompressOptions { Texts = ["unused"], Method = method, DenseBits = denseBits }, null);

    private static string Run(string model, string output, CompressOptions options, CodeOption? option)
    {
        using ModelFolder folder = ModelFolder.Open(model);
        ModelDescription description = FamilyRegistry.Describe(folder.Config);
        using PartialFolder partial = PartialFolder.Open(output);
        using WorkerPool pool = new(2);
        options = options with { Window = 32, Tokens = 512 };
        CompressionRun run = new(
            folder, description, RandomIds(description.VocabularySize, 1024), partial, pool, options, null, default);
        if (option is { } one)
            run.Allocate(one);
        else
            run.Allocate(options.Bits);
        run.Code();
        run.WriteRest();
        partial.Complete();
        return output;
    }
}
