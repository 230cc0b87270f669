using MoeKernels.Generation;

namespace MoeKernels.Tests.Generation;

public class SamplerTests
{
    private static readonly SamplingSettings Plain = new(100, 1, 0, 1, 0, 1, 7);

    [Fact]
    public void Next_Greedy_TakesTheFirstOfEqualLogits()
    {
        var sampler = new Sampler(Plain with { Temperature = 0 }, 4);
        Assert.Equal(1, sampler.Next([0, 5, 5, -1], [], out float logProbability));
        Assert.Equal(-Math.Log(2 + Math.Exp(-5) + Math.Exp(-6)), logProbability, 5);
    }

    [Fact]
    public void Next_SameSeed_RepeatsAndFollowsTheDistribution()
    {
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.2f)];
        int[] first = Draw(Plain, logits, 20_000);
        Assert.Equal(first, Draw(Plain, logits, 20_000));
        Assert.NotEqual(first, Draw(Plain with { Seed = 8 }, logits, 20_000));
        Assert.InRange(first.Count(token => token == 0) / 20_000.0, 0.48, 0.52);
        Assert.InRange(first.Count(token => token == 2) / 20_000.0, 0.18, 0.22);
    }

    [Theory]
    [InlineData(2, 1f, 0f, new[] { 0, 1 })]
    [InlineData(0, 0.6f, 0f, new[] { 0, 1 })]
    [InlineData(0, 0.5f, 0f, new[] { 0 })]
    [InlineData(0, 0f, 0f, new[] { 0 })]
    [InlineData(0, 1f, 0.5f, new[] { 0, 1 })]
    [InlineData(3, 0.6f, 0f, new[] { 0, 1 })]
    [InlineData(3, 0.99f, 0.5f, new[] { 0, 1 })]
    public void Next_Truncated_DrawsOnlyWhatIsKept(int topK, float topP, float minP, int[] kept)
    {
        float[] logits = [MathF.Log(0.5f), MathF.Log(0.3f), MathF.Log(0.12f), MathF.Log(0.08f)];
        var settings = Plain with { TopK = topK, TopP = topP, MinP = minP };
        Assert.Equal(kept, Draw(settings, logits, 2_000).Distinct().Order());
    }

    [Fact]
    public void Next_RepetitionPenalty_LowersSeenTokensOnce()
    {
        var sampler = new Sampler(Plain with { Temperature = 0, RepetitionPenalty = 2 }, 3);
        Assert.Equal(2, sampler.Next([4, -1, 3], [0, 0, 1], out _));
        Assert.Equal(1, sampler.Next([-3, -2, -3], [], out _));
    }

    [Fact]
    public void Next_TinyTemperature_TakesTheBest()
    {
        var sampler = new Sampler(Plain with { Temperature = 1e-42f }, 3);
        Assert.Equal(1, sampler.Next([4, 4.5f, float.NegativeInfinity], [], out float logProbability));
        Assert.Equal(0, logProbability);
    }

    [Fact]
    public void Next_NothingFinite_Throws()
    {
        var sampler = new Sampler(Plain, 2);
        Assert.Throws<MoeNonFiniteException>(() => sampler.Next([float.NaN, float.NegativeInfinity], [], out _));
    }

    [Fact]
    public void Next_Warm_AllocatesNothing()
    {
        var sampler = new Sampler(Plain with { TopK = 10, TopP = 0.9f, RepetitionPenalty = 1.1f }, 1000);
        float[] logits = [.. Enumerable.Range(0, 1000).Select(i => MathF.Sin(i))];
        List<int> context = [1, 2, 3];
        sampler.Next(logits, context, out _);
        long before = GC.GetAllocatedBytesForCurrentThread();
        sampler.Next(logits, context, out _);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Heap_PopsByFallingProbabilityThenId()
    {
        var random = new Random(3);
        double[] keys = [.. Enumerable.Range(0, 501).Select(_ => (double)random.Next(20))];
        var heap = new CandidateHeap(keys.Length);
        heap.Fill(keys);
        int[] expected = [.. Enumerable.Range(0, keys.Length).Where(i => keys[i] > 0).OrderByDescending(i => keys[i])];
        Assert.Equal(expected, Enumerable.Range(0, heap.Count).Select(_ => heap.Pop()).ToArray());
    }

    private static int[] Draw(SamplingSettings settings, float[] logits, int count)
    {
        var sampler = new Sampler(settings, logits.Length);
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++)
        {
            tokens[i] = sampler.Next(logits, [], out _);
        }

        return tokens;
    }
}
