using MoeKernels.Cli.Output;

namespace MoeKernels.Tests.Cli;

public sealed class TerminalTests : IDisposable
{
    private readonly StringWriter _output = new() { NewLine = "\n" };
    private readonly StringWriter _error = new() { NewLine = "\n" };

    [Fact]
    public void EndProgress_ErasesTheProgressLineOnceAndNoAnswer()
    {
        var terminal = Open(screen: true);
        terminal.Progress("half");
        terminal.EndProgress();
        terminal.Write("Once upon");
        terminal.EndProgress();
        Assert.Equal("Once upon", _output.ToString());
        Assert.Equal("\rhalf\u001b[K\r\u001b[K", _error.ToString());
    }

    [Fact]
    public void Error_AfterHalfALine_StartsALineOnAScreenOnly()
    {
        foreach (bool screen in new[] { true, false })
        {
            var terminal = Open(screen);
            terminal.Write("Once upon");
            terminal.Error("Cancelled.");
        }

        Assert.Equal("\nCancelled.\nCancelled.\n", _error.ToString());
    }

    [Fact]
    public void Quiet_ShowsErrorsAndResultsOnly()
    {
        var terminal = new Terminal(_output, _error, json: true, quiet: true, screen: true);
        terminal.Progress("half");
        terminal.Note("running");
        terminal.WriteJson(json => json.WriteString("text", "naïve"));
        terminal.Error("moe: no");
        Assert.Equal("{\"text\":\"naïve\"}\n", _output.ToString());
        Assert.Equal("moe: no\n", _error.ToString());
    }

    public void Dispose()
    {
        _output.Dispose();
        _error.Dispose();
    }

    private Terminal Open(bool screen) => new(_output, _error, json: false, quiet: false, screen);
}
