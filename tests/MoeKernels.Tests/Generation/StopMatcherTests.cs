using CsCheck;
using MoeKernels.Generation;

namespace MoeKernels.Tests.Generation;

public class StopMatcherTests
{
    [Fact]
    public void Push_StopAcrossPieces_EndsRightBeforeIt()
    {
        var matcher = new StopMatcher(["</end>"]);
        Assert.Equal("Hello ", matcher.Push("Hello <", out bool stopped));
        Assert.False(stopped);
        Assert.Equal(string.Empty, matcher.Push("/en", out stopped));
        Assert.False(stopped);
        Assert.Equal(string.Empty, matcher.Push("d> more", out stopped));
        Assert.True(stopped);
    }

    [Fact]
    public void Push_PartialThatFails_IsReleased()
    {
        var matcher = new StopMatcher(["aab"]);
        Assert.Equal("x", matcher.Push("xaa", out _));
        Assert.Equal("a", matcher.Push("a", out _));
        Assert.Equal("aac", matcher.Push("c", out _));
        Assert.Equal(string.Empty, matcher.Flush());
    }

    [Fact]
    public void Push_AnySplitting_EqualsSearchingTheWholeText()
    {
        var text = Gen.Char["ab"].Array[0, 30].Select(chars => new string(chars));
        Gen.Select(text, Gen.Char["ab"].Array[1, 4].Select(chars => new string(chars)).List[1, 3], Gen.Int[1, 5])
            .Sample((whole, stops, size) =>
            {
                var matcher = new StopMatcher(stops);
                string result = string.Empty;
                bool stopped = false;
                for (int i = 0; i < whole.Length && !stopped; i += size)
                {
                    result += matcher.Push(whole.Substring(i, Math.Min(size, whole.Length - i)), out stopped);
                }

                Assert.Equal(stops.Exists(stop => whole.Contains(stop, StringComparison.Ordinal)), stopped);
                if (stopped)
                {
                    // A stop that completes earlier wins even if another one begins before it.
                    Assert.StartsWith(result, whole, StringComparison.Ordinal);
                    Assert.Contains(stops, stop => whole[result.Length..].StartsWith(stop, StringComparison.Ordinal));
                }
                else
                {
                    Assert.Equal(whole, result + matcher.Flush());
                }
            });
    }
}
