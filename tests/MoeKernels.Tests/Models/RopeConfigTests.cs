using System.Text;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using Xunit;

namespace MoeKernels.Tests.Models;

public sealed class RopeConfigTests
{
    [Fact]
    public void Read_NothingGiven_UsesTheFamilysDefaults()
    {
        RopeSpec rope = RopeConfig.Read(Keys("{}"), 64, 4096, defaultTheta: 150000, defaultPartial: 0.25);

        Assert.Equal(new RopeSpec(150000, 16), rope);
    }

    [Theory]
    [InlineData("""{"rope_theta":5e5}""")]
    [InlineData("""{"rope_theta":5e5,"rope_scaling":null}""")]
    [InlineData("""{"rope_theta":500000,"rope_scaling":{"type":"default"}}""")]
    [InlineData("""{"rope_parameters":{"rope_theta":500000.0,"rope_type":"default"}}""")]
    [InlineData("""{"rope_scaling":{},"rope_parameters":{"rope_theta":500000.0}}""")]
    [InlineData("""{"rope_parameters":{"full_attention":{"rope_theta":5e5},"sliding_attention":{"rope_theta":1e4}}}""")]
    public void Read_EverySpellingOfThePlainForm_IsTheSame(string json)
    {
        Assert.Equal(new RopeSpec(500000, 64), RopeConfig.Read(Keys(json), 64, 4096));
    }

    [Theory]
    [InlineData("""{"rope_theta":1e4,"rope_scaling":{"type":"linear","factor":4}}""")]
    [InlineData("""{"rope_theta":1e4,"rope_scaling":{"rope_type":"linear","type":"su","factor":4}}""")]
    [InlineData("""{"rope_parameters":{"rope_theta":1e4,"rope_type":"linear","factor":4.0}}""")]
    public void Read_Linear_IsTheSameInBothForms(string json)
    {
        RopeSpec rope = RopeConfig.Read(Keys(json), 64, 4096);

        Assert.Equal(new RopeSpec(10000, 64) { Scaling = RopeScaling.Linear, Factor = 4 }, rope);
    }

    [Theory]
    [InlineData("""{"partial_rotary_factor":0.5}""", 32)]
    [InlineData("""{"rope_parameters":{"partial_rotary_factor":0.25}}""", 16)]
    [InlineData("""{"rope_parameters":{"partial_rotary_factor":0.25},"partial_rotary_factor":0.5}""", 16)]
    [InlineData("""{"rotary_dim":48}""", 48)]
    public void Read_PartialRotation_CountsRotatedElements(string json, int dimensions)
    {
        Assert.Equal(dimensions, RopeConfig.Read(Keys(json), 64, 4096).Dimensions);
    }

    [Fact]
    public void Read_PerLayerType_TakesTheLayersEntry()
    {
        ConfigReader keys = Keys(
            """{"rope_parameters":{"full_attention":{"rope_theta":5e5},"sliding_attention":{"rope_theta":1e4}}}""");

        Assert.Equal(10000, RopeConfig.Read(keys, 64, 4096, "sliding_attention").Theta);
        Assert.Throws<MoeFormatException>(() => RopeConfig.Read(keys, 64, 4096, "chunked_attention"));
    }

    [Fact]
    public void Read_Yarn_InfersTheAttentionFactor()
    {
        RopeSpec rope = RopeConfig.Read(
            Keys("""{"rope_scaling":{"type":"yarn","factor":8,"original_max_position_embeddings":32}}"""), 64, 256);

        Assert.Equal(RopeScaling.Yarn, rope.Scaling);
        Assert.Equal((8, 32), (rope.Factor, rope.OriginalContext));
        Assert.Equal((32, 1, true), (rope.BetaFast, rope.BetaSlow, rope.Truncate));
        Assert.Equal((0.1 * Math.Log(8)) + 1, rope.AttentionFactor, 12);
        Assert.Equal(1, rope.ScoreFactor);
    }

    [Fact]
    public void Read_YarnWithMscale_DividesOneMscaleByTheOther()
    {
        ConfigReader keys = Keys(
            """{"rope_scaling":{"type":"yarn","factor":40,"mscale":1.0,"mscale_all_dim":0.5,"beta_fast":0}}""");

        RopeSpec rope = RopeConfig.Read(keys, 64, 256);

        double one = (0.1 * Math.Log(40)) + 1;
        double half = (0.05 * Math.Log(40)) + 1;
        Assert.Equal(one / half, rope.AttentionFactor, 12);
        Assert.Equal(half * half, rope.ScoreFactor, 12);
        Assert.Equal(32, rope.BetaFast);
        Assert.Equal(256, rope.OriginalContext);
    }

    [Fact]
    public void Read_YarnWithAttentionFactorAndWithoutFactor_TakesTheOneAndInfersTheOther()
    {
        ConfigReader keys = Keys(
            """
            {"original_max_position_embeddings":64,"rope_parameters":{"rope_type":"yarn","attention_factor":1.5,
             "original_max_position_embeddings":32,"truncate":false}}
            """);

        RopeSpec rope = RopeConfig.Read(keys, 64, 256);

        Assert.Equal((4, 64, 1.5, false), (rope.Factor, rope.OriginalContext, rope.AttentionFactor, rope.Truncate));
    }

    [Theory]
    [InlineData("longrope")]
    [InlineData("su")]
    [InlineData("mrope")]
    [InlineData("proportional")]
    public void Read_UnknownKind_IsRefusedByName(string kind)
    {
        ConfigReader keys = Keys($$"""{"rope_scaling":{"factor":2,"type":"{{kind}}"} }""");

        var error = Assert.Throws<MoeUnsupportedException>(() => RopeConfig.Read(keys, 64, 4096));

        Assert.Contains($"'{kind}'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"rope_theta":0}""")]
    [InlineData("""{"rope_theta":"big"}""")]
    [InlineData("""{"rope_scaling":"linear"}""")]
    [InlineData("""{"rope_scaling":{"type":"linear"}}""")]
    [InlineData("""{"rope_scaling":{"type":"linear","factor":-1}}""")]
    [InlineData("""{"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":1}}""")]
    [InlineData("""{"rope_scaling":{"type":"yarn","factor":8,"original_max_position_embeddings":0}}""")]
    [InlineData("""{"partial_rotary_factor":1.5}""")]
    [InlineData("""{"partial_rotary_factor":0.05}""")]
    [InlineData("""{"rotary_dim":3}""")]
    [InlineData("""{"rotary_dim":128}""")]
    public void Read_NonsenseValues_AreFormatErrors(string json)
    {
        Assert.Throws<MoeFormatException>(() => RopeConfig.Read(Keys(json), 64, 4096));
    }

    private static ConfigReader Keys(string json) => ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(json));
}
