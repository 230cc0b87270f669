namespace MoeKernels.Compression;

/// <summary>A small generator with the same numbers on every machine and runtime (SplitMix64, Steele et al.
/// 2014).</summary>
internal struct SmallRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The next 64 bits.</summary>
    public ulong Next()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>A number from 0 to count - 1.</summary>
    public long Below(long count) => (long)Math.BigMul(Next(), (ulong)count, out _);

    /// <summary>A number from 0 to 1, without 1.</summary>
    public double Unit() => (Next() >> 11) * (1.0 / (1L << 53));
}
