using MoeKernels.Models.KvCache;

namespace MoeKernels.Tests.Models.KvCache;

public class SourceMaskTests
{
    [Theory]
    [InlineData(new[] { 1, 1, 1 }, 0, 2, false, false)]
    [InlineData(new[] { 1, 1, 0 }, 0, 1, true, false)]
    [InlineData(new[] { 0, 1, 1 }, 1, 2, true, false)]
    [InlineData(new[] { 1, 0, 1 }, 0, 2, true, true)]
    [InlineData(new[] { 0, 1, 0, 1, 0 }, 1, 3, true, true)]
    public void Mask_OfAnyForm_ShowsWhatItSays(int[] mask, int first, int last, bool padded, bool holes)
    {
        SourceMask source = new(mask);
        Assert.Equal((mask.Length, first, last), (source.Length, source.First, source.Last));
        Assert.Equal((padded, holes), (source.IsPadded, source.HasHoles));
        Assert.All(Enumerable.Range(0, mask.Length), i => Assert.Equal(mask[i] == 1, source.IsVisible(i)));
    }

    [Theory]
    [InlineData(new int[0])]
    [InlineData(new[] { 0, 0 })]
    [InlineData(new[] { 1, 2 })]
    [InlineData(new[] { -1, 1 })]
    public void Mask_WithoutATokenOrWithOtherNumbers_IsRefused(int[] mask) =>
        Assert.Throws<ArgumentException>(() => new SourceMask(mask));

    [Fact]
    public void All_OfNoPositions_IsRefused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => SourceMask.All(0));
}
