using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public class ConfigReaderTests
{
    [Fact]
    public void Getters_PresentKeys_GiveTheirValues()
    {
        ConfigReader config = Parse(
            """
            {"int":7,"float_int":4.0,"exp":1e6,"long":1099511627776,"pi":3.25,"yes":true,"text":"silu",
             "ids":[1,2.0],"names":["a","b"],"numbers":[1,2.5],"inner":{"deep":{"x":5}},"list":[{"y":6}]}
            """);
        Assert.Equal(7, config.Int("int"));
        Assert.Equal(4, config.Int("float_int"));
        Assert.Equal(1_000_000, config.Positive("exp"));
        Assert.Equal(1L << 40, config.Long("long"));
        Assert.Equal(3.25, config.Double("pi"));
        Assert.Equal(3.25f, config.Float("pi"));
        Assert.True(config.Bool("yes"));
        Assert.Equal("silu", config.String("text"));
        Assert.Equal([1, 2], config.IntArray("ids"));
        Assert.Equal(["a", "b"], config.StringArray("names"));
        Assert.Equal([1, 2.5], config.DoubleArray("numbers"));
        Assert.Equal(5, config.Object("inner").Object("deep").Int("x"));
        Assert.Equal(6, config.OptionalObjects("list")![0].Int("y"));
        Assert.Equal([7], config.OptionalIntOrArray("int")!);
        Assert.Equal([1, 2], config.OptionalIntOrArray("ids")!);
    }

    [Fact]
    public void Getters_SeveralNames_FirstPresentWinsAndNullIsAbsent()
    {
        ConfigReader config = Parse("""{"num_experts":null,"num_local_experts":8,"n_routed_experts":9}""");
        Assert.Equal(8, config.Int("num_experts", "num_local_experts", "n_routed_experts"));
        Assert.Equal(9, config.Int("n_routed_experts", "num_local_experts"));
        Assert.True(config.Has("num_experts", "num_local_experts"));
        Assert.False(config.Has("num_experts"));
        Assert.Equal(["num_local_experts", "n_routed_experts"], config.Keys);
    }

    [Fact]
    public void Getters_AbsentKeys_GiveDefaultOrNull()
    {
        ConfigReader config = Parse("""{"a":null}""");
        Assert.Equal(3, config.IntOr(3, "a", "b"));
        Assert.Equal(3, config.PositiveOr(3, "a"));
        Assert.Equal(3L, config.LongOr(3, "a"));
        Assert.Equal(0.5, config.DoubleOr(0.5, "a"));
        Assert.Equal(0.5f, config.FloatOr(0.5f, "a"));
        Assert.True(config.BoolOr(true, "a"));
        Assert.Equal("x", config.StringOr("x", "a"));
        Assert.Null(config.OptionalInt("a"));
        Assert.Null(config.OptionalPositive("a"));
        Assert.Null(config.OptionalIntArray("a"));
        Assert.Null(config.OptionalIntOrArray("a"));
        Assert.Null(config.OptionalStringArray("a"));
        Assert.Null(config.OptionalObject("a"));
        Assert.Null(config.OptionalObjects("a"));
        Assert.Same(config, config.Text);
    }

    [Fact]
    public void Text_NestedConfiguration_IsRead() =>
        Assert.Equal(5, Parse("""{"hidden_size":1,"text_config":{"hidden_size":5}}""").Text.Int("hidden_size"));

    public static TheoryData<string, string> WrongValues => new()
    {
        { "int", "null" }, { "int", "\"7\"" }, { "int", "7.5" }, { "int", "2147483648" }, { "int", "1e300" },
        { "int", "1e400" }, { "int", "true" }, { "int", "[7]" }, { "positive", "0" }, { "positive", "-1" },
        { "long", "9223372036854775808" }, { "long", "1e17" }, { "double", "\"1\"" }, { "double", "1e400" },
        { "float", "1e39" }, { "float", "{}" }, { "bool", "1" }, { "bool", "\"true\"" }, { "string", "1" },
        { "ints", "1" }, { "ints", "[1,\"2\"]" }, { "ints", "[2147483648]" },
        { "strings", "[\"a\",1]" }, { "doubles", "[null]" }, { "object", "[]" }, { "objects", "[1]" },
        { "range", "11" },
    };

    [Theory]
    [MemberData(nameof(WrongValues))]
    public void Getters_WrongValue_NamesFileAndKey(string kind, string json)
    {
        ConfigReader config = Parse($$$"""{"outer":{"k":{{{json}}}}}""").Object("outer");
        var error = Assert.Throws<MoeFormatException>(() =>
        {
            _ = kind switch
            {
                "int" => config.Int("k"),
                "positive" => config.Positive("k"),
                "long" => config.Long("k"),
                "double" => config.Double("k"),
                "float" => config.Float("k"),
                "bool" => config.Bool("k"),
                "string" => config.String("k"),
                "ints" => config.IntArray("k"),
                "strings" => config.StringArray("k"),
                "doubles" => config.DoubleArray("k"),
                "objects" => config.OptionalObjects("k")!,
                "range" => config.InRange(1, 10, "k")!,
                _ => (object)config.Object("k"),
            };
        });
        Assert.Equal("config.json", error.File);
        Assert.StartsWith("outer.k", error.Item, StringComparison.Ordinal);
    }

    [Fact]
    public void Getters_MissingKey_NamesAllAlternatives()
    {
        var error = Assert.Throws<MoeFormatException>(() => Parse("{}").Int("num_experts", "num_local_experts"));
        Assert.Equal("num_experts", error.Item);
        Assert.Contains("num_local_experts", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Unsupported_Key_IsNamedWithTheFile()
    {
        MoeUnsupportedException error = Parse("{}").Unsupported("hidden_act", "activation 'quick_gelu'");
        Assert.Contains("config.json: 'hidden_act'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\"a\"")]
    [InlineData("{\"a\":NaN}")]
    [InlineData("{\"a\":Infinity}")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{} {}")]
    public void Parse_NoObject_IsRefused(string json) => Assert.Throws<MoeFormatException>(() => Parse(json));

    [Fact]
    public void Parse_DeepNesting_IsRefused() =>
        Assert.Throws<MoeFormatException>(() => Parse(new string('[', 1_000_000)));

    [Fact]
    public void Parse_StringsThatAreNoText_AreRefused()
    {
        Assert.Throws<MoeFormatException>(() => Parse("""{"a":"\ud800"}"""));
        Assert.Throws<MoeFormatException>(() => Parse("""{"\udc00\ud800":1}"""));
        Assert.Throws<MoeFormatException>(() => ConfigReader.Parse("config.json", "{\"\xff\":1}"u8.ToArray().Select(
            b => b == 0xC3 ? (byte)0xFF : b).ToArray()));
    }

    private static ConfigReader Parse(string json) => ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(json));
}
