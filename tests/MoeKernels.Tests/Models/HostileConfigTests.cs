using System.Text;
using System.Text.Json.Nodes;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Families;

namespace MoeKernels.Tests.Models;

/// <summary>Every key of every config replaced by hostile values: a description or a documented error, nothing
/// else.</summary>
public sealed class HostileConfigTests
{
    private static readonly string[] Values =
    [
        "0", "-1", "1", "3", "2147483647", "1e300", "-1e-300", "0.5", "\"x\"", "[]", "[1, 2]", "{}", "null", "true",
        "[\"full_attention\"]", "{ \"rope_type\": \"yarn\" }", "{ \"rope_type\": \"dynamic\", \"factor\": 1e300 }",
    ];

    [Theory]
    [MemberData(nameof(DecoderReferenceTests.Folders), MemberType = typeof(DecoderReferenceTests))]
    public void Describe_AnyKeyReplaced_DescribesOrThrowsATypedError(string name)
    {
        string text = File.ReadAllText(Path.Combine(Golden.Folder(name), "config.json"));
        foreach (string key in JsonNode.Parse(text)!.AsObject().Select(pair => pair.Key))
        {
            foreach (string value in Values)
            {
                JsonObject config = JsonNode.Parse(text)!.AsObject();
                config[key] = JsonNode.Parse(value);
                Try(config);
            }

            JsonObject without = JsonNode.Parse(text)!.AsObject();
            without.Remove(key);
            Try(without);
        }
    }

    private static void Try(JsonObject config)
    {
        try
        {
            ModelDescription model = FamilyRegistry.Describe(
                ConfigReader.Parse("config.json", Encoding.UTF8.GetBytes(config.ToJsonString())));
            Assert.True(Transformer.ScratchFloats(model, 512, 4096, 8) > 0);
            Assert.True(model.Decoder.Blocks.Sum(
                block => block.Sublayers.Sum(sublayer => (double)sublayer.Layer.StateBytes(4096))) > 0);
        }
        catch (MoeFormatException)
        {
        }
        catch (MoeUnsupportedException)
        {
        }
    }
}
