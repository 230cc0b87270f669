using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression;

public unsafe class ScratchTests
{
    [Fact]
    public void Frame_Disposed_GivesTheSameMemoryAgain()
    {
        using Scratch scratch = new();
        float* kept = scratch.Floats(3);
        nint first, again;
        using (scratch.Begin())
            first = (nint)scratch.Floats(5_000_000);
        using (scratch.Begin())
            again = (nint)scratch.Floats(5_000_000);
        Assert.Equal(first, again);
        Assert.Equal(0, first % 64);
        Assert.NotEqual((nint)kept, first);
    }

    [Fact]
    public void Zeros_AfterUse_AreZero()
    {
        using Scratch scratch = new();
        using (scratch.Begin())
            new Span<float>(scratch.Floats(1000), 1000).Fill(float.NaN);
        Assert.False(new Span<float>(scratch.Zeros(1000), 1000).ContainsAnyExcept(0f));
    }
}
