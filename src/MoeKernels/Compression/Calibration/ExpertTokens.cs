namespace MoeKernels.Compression;

/// <summary>Which calibration tokens each expert of a layer gets.</summary>
internal sealed class ExpertTokens
{
    private readonly int[] _offsets;
    private readonly int[] _tokens;
    private readonly float[] _weights;

    private ExpertTokens(int[] offsets, int[] tokens, float[] weights, float[] totals)
    {
        (_offsets, _tokens, _weights, TotalWeights) = (offsets, tokens, weights, totals);
    }

    /// <summary>Sum of each token's routing weights, [tokens].</summary>
    public float[] TotalWeights { get; }

    /// <summary>Number of experts.</summary>
    public int Experts => _offsets.Length - 1;

    /// <summary>Number of tokens of every expert.</summary>
    public long[] Counts => [.. Enumerable.Range(0, Experts).Select(e => (long)Of(e).Length)];

    /// <summary>Tokens of an expert.</summary>
    public ReadOnlySpan<int> Of(int expert) =>
        _tokens.AsSpan(_offsets[expert], _offsets[expert + 1] - _offsets[expert]);

    /// <summary>Routing weights of an expert's tokens.</summary>
    public ReadOnlySpan<float> WeightsOf(int expert) =>
        _weights.AsSpan(_offsets[expert], _offsets[expert + 1] - _offsets[expert]);

    /// <summary>Sorts choices by expert.</summary>
    /// <param name="experts">E.</param>
    /// <param name="topK">Choices of a token.</param>
    /// <param name="ids">[tokens × k]; -1 for none.</param>
    /// <param name="weights">[tokens × k].</param>
    public static ExpertTokens Sort(int experts, int topK, ReadOnlySpan<int> ids, ReadOnlySpan<float> weights)
    {
        int[] offsets = new int[experts + 1];
        foreach (int id in ids)
        {
            if (id >= 0)
                offsets[id + 1]++;
        }

        for (int e = 0; e < experts; e++)
            offsets[e + 1] += offsets[e];
        int[] next = offsets[..experts];
        int[] tokens = new int[offsets[experts]];
        float[] sorted = new float[offsets[experts]];
        float[] totals = new float[ids.Length / topK];
        for (int i = 0; i < ids.Length; i++)
        {
            if (ids[i] < 0)
                continue;
            int place = next[ids[i]]++;
            (tokens[place], sorted[place]) = (i / topK, weights[i]);
            totals[i / topK] += weights[i];
        }

        return new ExpertTokens(offsets, tokens, sorted, totals);
    }

    /// <summary>All tokens for the only expert of a dense network.</summary>
    public static ExpertTokens All(int tokens)
    {
        float[] ones = new float[tokens];
        Array.Fill(ones, 1);
        return new ExpertTokens([0, tokens], [.. Enumerable.Range(0, tokens)], ones, ones);
    }
}
