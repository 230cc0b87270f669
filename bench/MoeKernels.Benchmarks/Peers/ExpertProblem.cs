using System.Runtime.InteropServices;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>The experts of one Qwen3-30B-A3B layer with random bf16 weights, and tokens routed to them; every engine
/// gets
/// the same memory.</summary>
/// <remarks>1.2 GB of weights, each read once a pass: no cache helps from one pass to the next.</remarks>
internal sealed unsafe class ExpertProblem : IDisposable
{
    public const int Hidden = 2048;
    public const int Intermediate = 768;
    public const int Experts = 128;
    public const int TopK = 8;

    /// <summary>Makes weights, tokens and routing.</summary>
    /// <param name="tokensPerExpert">Mean, and with <paramref name="even"/> the exact number, of tokens an expert
    /// gets.</param>
    /// <param name="even">Every expert gets the same number of tokens; otherwise each token draws its experts.</param>
    public ExpertProblem(int tokensPerExpert, bool even)
    {
        Tokens = tokensPerExpert * Experts / TopK;
        GateWeights = RandomBf16(1);
        UpWeights = RandomBf16(2);
        DownWeights = RandomBf16(3);
        XMemory = NativeBuffer.Allocate((long)Tokens * Hidden * sizeof(float), "benchmark tokens");
        IdMemory = NativeBuffer.Allocate((long)Tokens * TopK * sizeof(int), "benchmark routing");
        var random = new Random(4);
        foreach (ref float x in XMemory.AsSpan<float>())
            x = (random.NextSingle() * 2) - 1;
        for (int token = 0; token < Tokens; token++)
        {
            Span<int> ids = new(Ids + (token * TopK), TopK);
            for (int j = 0; j < TopK; j++)
                ids[j] = even ? ((token * TopK) + j) % Experts : Draw(random, ids[..j]);
        }
    }

    /// <summary>T.</summary>
    public int Tokens { get; }

    /// <summary>[experts × intermediate × hidden].</summary>
    public NativeBuffer GateWeights { get; }

    /// <inheritdoc cref="GateWeights"/>
    public NativeBuffer UpWeights { get; }

    /// <summary>[experts × hidden × intermediate].</summary>
    public NativeBuffer DownWeights { get; }

    /// <summary>[T × hidden].</summary>
    public float* X => (float*)XMemory.Pointer;

    /// <summary>[T × k], distinct within a token.</summary>
    public int* Ids => (int*)IdMemory.Pointer;

    /// <summary>Floating-point operations of one projection of all chosen experts.</summary>
    public double ProjectionFlops => 2.0 * Tokens * TopK * Hidden * Intermediate;

    private NativeBuffer XMemory { get; }

    private NativeBuffer IdMemory { get; }

    public void Dispose()
    {
        foreach (NativeBuffer memory in (NativeBuffer[])[GateWeights, UpWeights, DownWeights, XMemory, IdMemory])
            memory.Dispose();
    }

    private static int Draw(Random random, ReadOnlySpan<int> taken)
    {
        int expert;
        do
        {
            expert = random.Next(Experts);
        }
        while (taken.Contains(expert));
        return expert;
    }

    /// <summary>Uniform in ± sqrt(3 / hidden), which keeps results near one.</summary>
    private static NativeBuffer RandomBf16(uint seed)
    {
        const long Count = (long)Experts * Intermediate * Hidden;
        NativeBuffer memory = NativeBuffer.Allocate(Count * sizeof(ushort), "benchmark weights");
        float scale = MathF.Sqrt(3f / Hidden) / int.MaxValue;
        uint state = seed * 2654435761;
        foreach (ref ushort weight in MemoryMarshal.Cast<byte, ushort>(memory.AsSpan<byte>()))
        {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            weight = (ushort)(BitConverter.SingleToUInt32Bits((int)state * scale) >> 16);
        }

        return memory;
    }
}
