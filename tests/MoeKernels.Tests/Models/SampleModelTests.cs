using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Models;

/// <summary>The trained model that ships with the tool, against the reference outputs beside it.</summary>
public sealed class SampleModelTests
{
    private static readonly string Folder = RepositoryPaths.DataFile("novelist-s");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Prefill_EachPrompt_MatchesReference(int prompt)
    {
        using var golden = new Golden(Folder);
        using TestModel model = TestModel.Load(Folder, threads: 2);

        golden.AssertClose($"{prompt}.logits", model.Prefill(golden.Ints($"{prompt}.input_ids")));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Greedy_EachPrompt_MatchesReference(int prompt)
    {
        using var golden = new Golden(Folder);
        using TestModel model = TestModel.Load(Folder, threads: 2);
        int[] tokens = golden.Ints($"{prompt}.input_ids");
        int[] continuation = golden.Ints($"{prompt}.greedy_ids");
        if (!continuation.AsSpan().StartsWith(tokens))
            continuation = [.. tokens, .. continuation];

        Assert.Equal(continuation, model.Greedy(tokens, continuation.Length));
    }
}
