using MoeKernels.Cli.Commands;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Cli;

public sealed class InputTextTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("naïve — 鯨\n", new byte[0])]
    [InlineData("naïve", new byte[] { 0xEF, 0xBB, 0xBF })]
    public async Task ReadFile_Utf8_LeavesOutTheByteOrderMark(string text, byte[] mark)
    {
        string file = _folder.Write("text", [.. mark, .. System.Text.Encoding.UTF8.GetBytes(text)]);
        Assert.Equal(text, await InputText.ReadAsync("@" + file, default));
    }

    [Theory]
    [InlineData(new byte[] { 0x63, 0x61, 0x66, 0xE9 }, 3)]
    [InlineData(new byte[] { 0xEF, 0xBB, 0xBF, 0x61, 0xFF, 0x62 }, 4)]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x61, 0x00 }, 0)]
    public async Task ReadFile_OtherEncoding_NamesTheFirstBadByte(byte[] bytes, int position)
    {
        string file = _folder.Write("text", bytes);
        var error = await Assert.ThrowsAsync<MoeFormatException>(() => InputText.ReadFileAsync(file, default));
        Assert.Contains($"the byte at position {position} ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ReadFile_MissingOrFolder_NamesIt()
    {
        var missing = await Assert.ThrowsAsync<MoeFormatException>(
            () => InputText.ReadFileAsync(_folder["none"], default));
        Assert.Equal(_folder["none"], missing.File);
        var folder = await Assert.ThrowsAsync<MoeFormatException>(
            () => InputText.ReadFileAsync(_folder.Path, default));
        Assert.Contains("is a folder", folder.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_PlainText_IsTheText() => Assert.Equal("a@b -", await InputText.ReadAsync("a@b -", default));

    public void Dispose() => _folder.Dispose();
}
