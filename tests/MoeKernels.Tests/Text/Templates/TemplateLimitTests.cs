using MoeKernels.Text;

namespace MoeKernels.Tests.Text.Templates;

/// <summary>Templates that ask for unbounded time or memory end with an error at the limits.</summary>
public class TemplateLimitTests
{
    private const string Doubling = "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}"
        + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}";

    [Theory]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")]
    [InlineData("{% for a in range(99999) %}{% for b in range(99999) %}xxxxxxxxxxxxxxxx{% endfor %}{% endfor %}")]
    [InlineData("{{ 'x' * 999999999 }}")]
    [InlineData("{{ [0] * 999999999 }}")]
    [InlineData("{{ 9 ** (9 ** 9) }}")]
    [InlineData("{{ 'x'.center(999999999) }}")]
    [InlineData("{{ 'x' | center(999999999) }}")]
    [InlineData("{{ '%999999999d' % 5 }}")]
    [InlineData("{{ '%.999999999f' % 5 }}")]
    [InlineData("{{ '{:>999999999}'.format(5) }}")]
    [InlineData("{{ '{:0999999999,}'.format(5) }}")]
    [InlineData("{{ ('a' * 999999) | replace('a', 'b' * 999999) }}")]
    [InlineData("{{ 'a\nb' | indent(999999999) }}")]
    [InlineData("{{ [[1]] | tojson(indent=999999999) }}")]
    [InlineData("{{ [1] | batch(999999999, 0) | list }}")]
    [InlineData("{{ [1] | slice(999999999) | list }}")]
    [InlineData("{{ '\t'.expandtabs(999999999) }}")]
    [InlineData("{{ range(99999) | map('list') | list }}{{ range(99999) | map('string') | join('x' * 9999) }}")]
    [InlineData(Doubling + "{{ ns.x }}")]
    [InlineData(Doubling + "{{ ns.x | tojson }}")]
    [InlineData(Doubling + "{{ ns.x | pprint }}")]
    [InlineData(Doubling + "{% set a = ns.x %}" + Doubling + "{{ a == ns.x }}")]
    [InlineData(Doubling + "{% set a = ns.x %}" + Doubling + "{{ a < ns.x }}")]
    [InlineData("{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}"
        + "{{ {ns.x: 1} }}")]
    [InlineData("{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}")]
    public void Render_HugeWork_LimitError(string source)
    {
        var error = Assert.Throws<MoeTemplateException>(() => Render(source));
        Assert.True(error.ErrorType is "LimitError" or "TypeError", error.Message);
    }

    [Theory]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}")]
    [InlineData("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}")]
    [InlineData("{% block a %}{{ self.a() }}{% endblock %}")]
    [InlineData("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}")]
    [InlineData("{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = [ns.x] %}{% endfor %}"
        + "{{ ns.x }}")]
    [InlineData("{% macro f(c) %}{{ c(c) }}{% endmacro %}{{ f(f) }}")]
    public void Render_EndlessRecursion_RecursionError(string source)
    {
        var error = Assert.Throws<MoeTemplateException>(() => Render(source));
        Assert.True(error.ErrorType is "RecursionError" or "LimitError", error.Message);
    }

    [Theory]
    [InlineData("(", ")")]
    [InlineData("[", "]")]
    [InlineData("not ", "")]
    [InlineData("-", "")]
    [InlineData("1 if 1 else ", "")]
    [InlineData("1+", "")]
    [InlineData("x[", "]")]
    public void Parse_DeepNesting_FormatError(string open, string close)
    {
        string source = "{{ " + Repeat(open, 50_000) + "1" + Repeat(close, 50_000) + " }}";
        Assert.Throws<MoeFormatException>(() => ChatTemplate.Parse(source, "deep"));
    }

    [Fact]
    public void Parse_DeepBlocks_FormatError() => Assert.Throws<MoeFormatException>(
        () => ChatTemplate.Parse(Repeat("{% if 1 %}", 50_000) + Repeat("{% endif %}", 50_000), "deep"));

    [Fact]
    public void Render_LongChains_GiveTheirResult()
    {
        Assert.Equal("1001", Render("{{ 1" + Repeat(" + 1", 1000) + " }}"));
        Assert.Equal("x", Render("{{ 'x'" + Repeat(" | trim", 1000) + " }}"));
        string branches = string.Concat(Enumerable.Range(0, 5000).Select(i => $"{{% elif {i} == 4999 %}}{i}"));
        Assert.Equal("4999", Render("{% if false %}" + branches + "{% endif %}"));
    }

    [Fact]
    public void Render_SmallThreadStack_RecursionErrorInsteadOfOverflow()
    {
        MoeTemplateException? error = null;
        var thread = new Thread(
            () => error = Assert.Throws<MoeTemplateException>(
                () => Render("{% macro f() %}{{ [[[[f()]]]] }}{% endmacro %}{{ f() }}", 1_000_000)),
            maxStackSize: 256 * 1024);
        thread.Start();
        thread.Join();
        Assert.Equal("RecursionError", error!.ErrorType);
    }

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));

    private static string Render(string source, int depth = 200) => ChatTemplate.Parse(source, "limits")
        .RenderVariables(
            ChatData.Json("{}"),
            new ChatTemplateOptions
            {
                Limits = new TemplateLimits { MaxSteps = 2_000_000, MaxCharacters = 8 << 20, MaxCallDepth = depth },
            })
        .Text;
}
