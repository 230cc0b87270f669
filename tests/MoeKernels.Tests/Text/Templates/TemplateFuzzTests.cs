using System.Text;
using System.Text.Json;
using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

/// <summary>
/// Mutated templates: only documented exceptions come out, within the limits set. <c>MOEK_FUZZ_ITERATIONS</c> sets
/// the number of inputs; the seed of an input that fails is in the message.
/// </summary>
public sealed class TemplateFuzzTests(ITestOutputHelper output)
{
    // Pieces that lead mutations past the syntax: blow-ups, recursion, odd numbers, the sandbox's edges.
    private static readonly string[] Fragments =
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "-", "{% endfor %}", "{% endif %}", "{% else %}", "{% raw %}",
        "{% set x %}",
        "{% for i in range(99999) %}", "{% macro f(n) %}", "{{ f(f) }}", "{{ loop(messages) }}", "recursive",
        " * 99999",
        " ** 99999", "|list", "|sort", "|tojson(indent=99999)", "|batch(9999999, 0)|list", "|center(99999999)",
        "[::-1]",
        "[9999999999999:]", "|join(x)", "|map('map')", "|groupby('a')", "'%99999999d' % 1", "'{:999999999}'.format(1)",
        "|replace('', x)", "|indent(99999999)", "\\ud800", "\\N{x}", "é", "😀", "\0", "(", ")", "[", "]", "{", "}", "~",
        "0x", "1e999", "9" + "9999999999999999999999", ".__class__", "|attr('x')", " is ", " if ", " not ",
        "namespace(",
        "caller()", "varargs", "kwargs", "self.x()", "**", "*", "|wordwrap(1)", "|pprint", "|urlencode", "|xmlattr",
        "|slice(99999999)|list", "|round(99999999)", ".format_map(x)", "|truncate(0)", ".expandtabs(99999999)",
    ];

    private static readonly TemplateLimits Limits = new()
    {
        MaxSteps = 50_000,
        MaxCharacters = 500_000,
        MaxCallDepth = 50,
    };

    private static int Iterations =>
        int.TryParse(Environment.GetEnvironmentVariable("MOEK_FUZZ_ITERATIONS"), out int count) ? count : 2000;

    [Fact]
    public void ChatTemplate_MutatedTemplates_OnlyDocumentedErrors()
    {
        string[] seeds =
        [
            .. Directory.GetFiles(Path.GetDirectoryName(ChatData.File("x"))!, "*.jinja").Select(File.ReadAllText),
            .. ChatData.Snippets.GetProperty("snippets").EnumerateArray()
                .Select(snippet => snippet.GetProperty("source").GetString()!),
        ];
        JsonElement messages = ChatData.Json(
            """[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}],"x":1.5},""" +
            """{"role":"assistant","content":"b", """ +
            """ "tool_calls":[{"function":{"name":"f","arguments":{"a":[1,null]}}}]}]""");
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        for (int seed = 0; seed < Iterations; seed++)
        {
            string source = Mutate(seeds, new Random(seed));
            string outcome = Try(seed, source, messages);
            counts[outcome] = counts.GetValueOrDefault(outcome) + 1;
        }

        string outcomes = string.Join(", ", counts.Select(pair => $"{pair.Value} {pair.Key}"));
        output.WriteLine($"{Iterations} inputs: {outcomes}");
    }

    private static string Try(int seed, string source, JsonElement messages)
    {
        var options = new ChatTemplateOptions
        {
            AddGenerationPrompt = seed % 2 == 0,
            Limits = Limits,
            Variables = ChatData.Snippets.GetProperty("context").EnumerateObject()
                .ToDictionary(variable => variable.Name, variable => variable.Value),
        };
        try
        {
            string text = ChatTemplate.Parse(source, "fuzz").RenderJson(messages, options).Text;
            Assert.True(text.Length <= Limits.MaxCharacters);
            return "rendered";
        }
        catch (Exception error) when (error is MoeFormatException or MoeTemplateException or MoeUnsupportedException)
        {
            return (error as MoeTemplateException)?.ErrorType ?? error.GetType().Name;
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"seed {seed}: {error.GetType().Name} from {source}", error);
        }
    }

    private static string Mutate(string[] seeds, Random random)
    {
        var text = new StringBuilder(seeds[random.Next(seeds.Length)]);
        for (int edits = random.Next(1, 4); edits > 0 && text.Length > 0; edits--)
        {
            int at = random.Next(text.Length);
            int length = Math.Min(random.Next(1, 20), text.Length - at);
            switch (random.Next(5))
            {
                case 0:
                    text.Remove(at, length);
                    break;
                case 1:
                    text[at] = (char)random.Next(32, 127);
                    break;
                case 2:
                    text.Insert(at, text.ToString(at, length));
                    break;
                case 3:
                    string other = seeds[random.Next(seeds.Length)];
                    text.Insert(at, other.AsSpan(random.Next(other.Length)));
                    break;
                default:
                    text.Insert(at, Fragments[random.Next(Fragments.Length)]);
                    break;
            }
        }

        return text.ToString();
    }
}
