namespace MoeKernels.Compression;

/// <summary>Calibration tokens of many experts in a few numbers.</summary>
internal sealed class CoverageSummary
{
    /// <summary>Each bar of the histogram but the first, zero, reaches to this many times the one before.</summary>
    private const int BarFactor = 4;

    private readonly long[] _sorted;

    /// <param name="tokens">Tokens by expert, any order; at least one expert.</param>
    public CoverageSummary(IEnumerable<long> tokens) => _sorted = [.. tokens.Order()];

    public long Least => _sorted[0];

    /// <summary>The middle one; of an even number the lower of the two.</summary>
    public long Median => _sorted[(_sorted.Length - 1) / 2];

    public long Most => _sorted[^1];

    public int WithoutTokens => _sorted.Count(tokens => tokens <= 0);

    /// <summary>Experts by tokens: none, 1 to 3, 4 to 15, 16 to 63 and so on up to the busiest.</summary>
    public IEnumerable<(long From, long To, int Experts)> Histogram()
    {
        yield return (0, 0, WithoutTokens);
        for (long from = 1; from <= Most; from *= BarFactor)
        {
            long to = from > long.MaxValue / BarFactor ? long.MaxValue : (from * BarFactor) - 1;
            yield return (from, to, _sorted.Count(tokens => tokens >= from && tokens <= to));
            if (to == long.MaxValue)
            {
                yield break;
            }
        }
    }
}
