namespace MoeKernels.Tests.Core;

public class MoeExceptionTests
{
    [Fact]
    public void FormatException_NamesFileAndItem()
    {
        var error = new MoeFormatException("a.safetensors", "w", "is too short");
        Assert.Equal("a.safetensors: 'w': is too short", error.Message);
    }
}
