using MoeKernels.Cli;

namespace MoeKernels.Tests.Cli;

public class ParsingTests
{
    [Theory]
    [InlineData("--max-tokens takes a whole number below 2^31, not 'many'.", "generate", "-n", "many")]
    [InlineData("--max-tokens takes a whole number below 2^31, not '1.5'.", "generate", "-n", "1.5")]
    [InlineData("--max-tokens must be at least 0, not -5.", "generate", "-n", "-5")]
    [InlineData("--temperature takes a number, not 'warm'.", "generate", "-t", "warm")]
    [InlineData("--temperature takes a number, not 'NaN'.", "chat", "-t", "NaN")]
    [InlineData("--temperature must be at least 0, not -1.", "chat", "-t", "-1")]
    [InlineData("--top-p must be from 0 to 1, not 2.", "generate", "--top-p", "2")]
    [InlineData("--seed takes a whole number below 2^31, not '99999999999'.", "generate", "--seed", "99999999999")]
    [InlineData("--threads must be from 1 to 1024, not 0.", "eval", "--threads", "0")]
    [InlineData("--windows must be at least 1, not 0.", "eval", "--windows", "0")]
    [InlineData("--batch must be from 1 to 100000, not 0.", "plan", "--batch", "0")]
    public void Parse_WrongNumber_SaysWhatTheOptionTakes(string message, params string[] arguments) =>
        Assert.Equal(message, Assert.Single(MoeCommandLine.Parse(arguments).Errors).Message);

    [Theory]
    [InlineData("doctor", "--require", "tpu")]
    [InlineData("logits", "model", "--ids", "x")]
    [InlineData("generate", "model", "another")]
    [InlineData("speak")]
    public void Parse_WrongWords_IsAnError(params string[] arguments) =>
        Assert.NotEmpty(MoeCommandLine.Parse(arguments).Errors);

    [Fact]
    public void Parse_WordWithAt_StaysAsItIs()
    {
        var parsed = MoeCommandLine.Parse(["generate", "-p", "@no such file", "-n", "1e1"]);
        Assert.Empty(parsed.Errors);
        Assert.Equal("@no such file", parsed.GetValue<string>("--prompt"));
        Assert.Equal(10, parsed.GetValue<int?>("--max-tokens"));
        Assert.Null(parsed.GetValue<int?>("--threads"));
    }
}
