using MoeKernels.BindingGenerator;

namespace MoeKernels.Interop.Tests.Generator;

/// <summary>The checked-in bindings are those of the headers, and what has no certain C# form is refused.</summary>
public class GeneratorTests
{
    private const string Header =
        """
        #include <stdint.h>
        /** Number of things. */
        #define MOEK_THINGS 3
        /** Two words. */
        typedef enum moek_word {
            /** First. */
            MOEK_FIRST = -1,
            /** Second, see moek_do. */
            MOEK_SECOND = 256
        } moek_word;
        /** Either. */
        typedef union moek_either {
            /** As a number. */
            int32_t number;
            /** As bytes. */
            uint8_t bytes[4];
        } moek_either;
        /**
         * Does it.
         *
         * In the end, `count` < 5 & more.
         *
         * @param[out] out    receives it
         * @param      count  how many
         * @return a moek_word
         */
        moek_word moek_do(moek_either **out, void (*event)(const char *text, void *user), uint64_t count);
        """;

    [Fact]
    public void CheckedInFiles_AreThoseOfTheHeaders()
    {
        SkipWithoutCastxml();
        var (code, text) = Run("--check", "--root", Checkout.Root);
        Assert.True(code == ExitCodes.Done, text);
    }

    [Fact]
    public void Header_BecomesFiles()
    {
        SkipWithoutCastxml();
        using var root = new TemporaryFolder();
        root.Write(Header, "native", "include", "moek", "moek.h");
        Assert.Equal(ExitCodes.Done, Run("--root", root.Folder).Code);
        string made = File.ReadAllText(root["bindings", "MoeKernels.Interop", "Generated", "Moek.g.cs"]);
        Assert.All(
            new[]
            {
                "    public const int MOEK_THINGS = 3;",
                "    MOEK_FIRST = -1,",
                "    /// <summary>Second, see <see cref=\"Moek.moek_do\"/>.</summary>",
                "[StructLayout(LayoutKind.Explicit, Size = 4)]",
                "    public fixed byte bytes[4];",
                "    /// <param name=\"out\">receives it</param>",
                "    /// <returns>a <see cref=\"moek_word\"/></returns>",
                "    /// <remarks>In the end, <paramref name=\"count\"/> &lt; 5 &amp; more.</remarks>",
                "        moek_either** @out, delegate* unmanaged[Cdecl]<byte*, void*, void> @event, ulong count);",
            },
            line => Assert.Contains(line + "\n", made, StringComparison.Ordinal));
        Assert.Equal(ExitCodes.Done, Run("--check", "--root", root.Folder).Code);
    }

    [Fact]
    public void Check_ShowsWhatDiffersAndWritesNothing()
    {
        SkipWithoutCastxml();
        using var root = new TemporaryFolder();
        string header = root.Write(Header, "native", "include", "moek", "moek.h");
        Run("--root", root.Folder);
        File.WriteAllText(header, Header.Replace("THINGS 3", "THINGS 4", StringComparison.Ordinal));
        string made = root["bindings", "MoeKernels.Interop", "Generated", "Moek.g.cs"];
        string before = File.ReadAllText(made);
        root.Write("", "bindings", "MoeKernels.Interop", "Generated", "Old.g.cs");
        var (code, text) = Run("--check", "--root", root.Folder);
        Assert.Equal(ExitCodes.Different, code);
        Assert.Contains("-     public const int MOEK_THINGS = 3;", text, StringComparison.Ordinal);
        Assert.Contains("+     public const int MOEK_THINGS = 4;", text, StringComparison.Ordinal);
        Assert.Contains("Old.g.cs belongs to no header.", text, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllText(made));
    }

    [Theory]
    [InlineData("/** S. */ typedef struct s {\n/** F. */\nint32_t f : 3; } s;", "s.f is a bit field")]
    [InlineData("/** F. */ void moek_f(int32_t a, ...);", "moek_f has a variable number of arguments")]
    [InlineData("/** F. */ void moek_f(long a);", "moek_f(a): type 'long int' has no fixed width")]
    [InlineData("/** F. */ void moek_f(int a);", "moek_f(a): type 'int' has no fixed width")]
    [InlineData("/** F. */ void moek_f(wchar_t a);", "moek_f(a): type 'wchar_t' has no fixed width")]
    [InlineData("/** F. */ void moek_f(void (*a)(int32_t n, ...));", "callback with a variable number")]
    [InlineData("/** F. */ void moek_f(int32_t);", "moek_f has a parameter without a name")]
    [InlineData("/** F.\n * @param b it\n */\nvoid moek_f(int32_t a);", "describes 'b', which it does not have")]
    [InlineData("/** F. */ static inline void moek_f(void) {}", "moek_f is static or inline")]
    [InlineData("/** F. */ void other(void);", "other does not begin with moek_")]
    [InlineData("void moek_f(void);", "moek_f has no comment")]
    [InlineData("/** V. */ extern int32_t moek_v;", "variables cannot be bound")]
    [InlineData("/** U. */ typedef union {\n/** F. */\nint32_t f; } u;", "a union without a name")]
    [InlineData("/** S. */ typedef struct s { union { int32_t a; float b; }; } s;", "a struct or union without a name")]
    [InlineData("/** S. */ typedef struct s {\n/** F. */\nint32_t f[2][2]; } s;", "s.f: an array of arrays")]
    [InlineData("/** S. */ typedef struct s {\n/** F. */\nint32_t g, f[]; } s;", "s.f has no length")]
    [InlineData("/** S. */ typedef struct s {\n/** F. */\nvoid *f[2]; } s;", "s.f is an array of void*")]
    [InlineData("/** S. */ typedef struct __attribute__((packed)) s {\n/** F. */\nint32_t f; } s;", "s is empty, p")]
    [InlineData("/** E. */ typedef enum e {\n/** V. */\nV = 0xFFFFFFFFu } e;", "V does not fit into 32 bits")]
    [InlineData("/** E. */ typedef enum e {\nV = 0 } e;", "V has no comment on the line above")]
    [InlineData("/** M. */\n#define MOEK_M (1 + 2)", "macro MOEK_M is not a plain number")]
    [InlineData("/** M. */\n#define MOEK_M 017", "macro MOEK_M is not a plain number")]
    [InlineData("#define MOEK_M 1", "MOEK_M has no comment")]
    [InlineData("void moek_f(", "castxml failed")]
    public void UncertainHeader_IsRefused(string source, string problem)
    {
        SkipWithoutCastxml();
        using var root = new TemporaryFolder();
        root.Write($"#include <stddef.h>\n#include <stdint.h>\n{source}\n", "native", "include", "moek", "moek.h");
        var (code, text) = Run("--root", root.Folder);
        Assert.Equal(ExitCodes.Refused, code);
        Assert.Contains(problem, text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(root["bindings"]));
    }

    [Fact]
    public void ForgottenHeader_IsRefused()
    {
        SkipWithoutCastxml();
        using var root = new TemporaryFolder();
        root.Write("", "native", "include", "moek", "moek.h");
        root.Write("/** F. */\nvoid moek_f(void);\n", "native", "include", "moek", "extra.h");
        var (code, text) = Run("--root", root.Folder);
        Assert.Equal(ExitCodes.Refused, code);
        Assert.Contains("extra.h:1: moek.h does not include this header", text, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutCastxml_HasItsOwnExitCode()
    {
        string dotnet = Path.GetFullPath(Path.Combine(
            System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        string generator = Path.Combine(AppContext.BaseDirectory, "MoeKernels.BindingGenerator.dll");
        string program = Path.Combine(dotnet, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        Assert.SkipUnless(File.Exists(program), $"there is no {program}");
        var (code, text) = Tool.Run(program, [generator, "--check", "--root", Checkout.Root], ("PATH", ""));
        Assert.Equal(ExitCodes.CastxmlMissing, code);
        Assert.Contains("castxml is not on the PATH", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--what")]
    [InlineData("--root")]
    [InlineData("--root", "/nonexistent/folder")]
    public void WrongArguments_ShowTheUsage(params string[] arguments)
    {
        var (code, text) = Run(arguments);
        Assert.Equal(ExitCodes.Usage, code);
        Assert.StartsWith("Usage:", text, StringComparison.Ordinal);
    }

    private static void SkipWithoutCastxml()
    {
        string? missing = Tool.Missing("castxml");
        Assert.SkipWhen(missing is not null, missing ?? "");
    }

    private static (int Code, string Text) Run(params string[] arguments)
    {
        using var output = new StringWriter();
        return (Program.Run(arguments, output, output), output.ToString());
    }
}
