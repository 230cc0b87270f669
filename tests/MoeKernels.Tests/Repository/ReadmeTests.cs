using System.Text.RegularExpressions;
using MoeKernels.Cli;

namespace MoeKernels.Tests.Repository;

/// <summary>What the README shows is true: its code compiles, its commands parse, its table lists every verb.</summary>
public partial class ReadmeTests
{
    private static readonly string Readme = File.ReadAllText(Path.Combine(RepositoryPaths.Root, "README.md"));

    [Fact]
    public void Code_IsTheCompiledCode()
    {
        string compiled = WithoutIndent(File.ReadAllText(
            Path.Combine(RepositoryPaths.Root, "tests", "MoeKernels.Tests", "Repository", "ReadmeCode.cs")));
        string[] blocks = Blocks("csharp");
        Assert.Equal(3, blocks.Length);
        foreach (string block in blocks)
        {
            var usings = Lines(block).Where(line => line.StartsWith("using MoeKernels", StringComparison.Ordinal));
            Assert.All(usings, line => Assert.Contains(line, compiled, StringComparison.Ordinal));
            string code = string.Join('\n', Lines(block).Where(line => !usings.Contains(line))).Trim();
            Assert.Contains(WithoutIndent(code), compiled, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Commands_Parse()
    {
        string[] commands = [.. Blocks("sh run").SelectMany(Lines).Where(line => line.Length > 0)];
        Assert.True(commands.Length > 5);
        Assert.All(commands, command =>
        {
            string[] words = [.. Word().Matches(command).Select(match => match.Value.Trim('"'))];
            Assert.Equal(
                ["dotnet", "run", "-c", "Release", "--project", "src/MoeKernels.Cli", "--"], words.Take(7));
            Assert.Empty(MoeCommandLine.Parse(words[7..]).Errors);
        });
    }

    [Fact]
    public void Table_ListsEveryVerb()
    {
        string table = Readme[Readme.IndexOf("| verb |", StringComparison.Ordinal)..];
        table = table[..table.IndexOf("\n\n", StringComparison.Ordinal)];
        var listed = Verb().Matches(table).Select(match => match.Groups[1].Value);
        var verbs = MoeCommandLine.Parse([]).RootCommandResult.Command.Subcommands.Select(command => command.Name);
        Assert.Equal(verbs.Order(), listed.Order());
    }

    private static string[] Blocks(string kind) =>
    [
        .. Block().Matches(Readme).Where(match => match.Groups[1].Value == kind).Select(match => match.Groups[2].Value),
    ];

    private static string[] Lines(string text) => text.Split('\n');

    private static string WithoutIndent(string text) =>
        string.Join('\n', Lines(text).Select(line => line.Trim()));

    [GeneratedRegex(@"^```(.+)\n([\s\S]*?)^```", RegexOptions.Multiline)]
    private static partial Regex Block();

    [GeneratedRegex(@"""[^""]*""|\S+")]
    private static partial Regex Word();

    [GeneratedRegex(@"^\| `(\w+)[^`]*` \|", RegexOptions.Multiline)]
    private static partial Regex Verb();
}
