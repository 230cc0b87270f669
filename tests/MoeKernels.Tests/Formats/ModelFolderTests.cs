using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public sealed class ModelFolderTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_CompleteFolder_GivesAllParts()
    {
        _folder.Write("config.json", """{"model_type":"mixtral"}""");
        _folder.Write("generation_config.json", """{"eos_token_id":2}""");
        _folder.WriteTensors("model.safetensors", """{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 4);
        using ModelFolder model = ModelFolder.Open(_folder.Path);
        Assert.Equal("mixtral", model.Config.String("model_type"));
        Assert.Equal(2, model.GenerationConfig!.Int("eos_token_id"));
        Assert.True(model.Checkpoint.Contains("t"));
        Assert.Equal(_folder["config.json"], model.FileOrNull("config.json"));
        Assert.Null(model.FileOrNull("tokenizer.json"));
    }

    [Fact]
    public void Open_WithoutGenerationConfig_GivesNull()
    {
        _folder.Write("config.json", "{}");
        _folder.WriteTensors("model.safetensors", "{}", 0);
        using ModelFolder model = ModelFolder.Open(_folder.Path);
        Assert.Null(model.GenerationConfig);
    }

    [Fact]
    public void Open_MissingFolder_IsRefused() => Refused(_folder["none"], "no such folder");

    [Fact]
    public void Open_FileInsteadOfFolder_PointsAtTheFolder() =>
        Refused(_folder.Write("model.safetensors", "x"), "give the folder");

    [Fact]
    public void Open_WeightsWithoutConfig_SaysSo()
    {
        _folder.WriteTensors("model.safetensors", "{}", 0);
        Refused(_folder.Path, "weights, but no configuration");
    }

    [Fact]
    public void Open_EmptyFolder_SaysWhatIsLookedFor() => Refused(_folder.Path, "any other *.safetensors file");

    [Fact]
    public void Open_ConfigWithoutWeights_SaysWhatIsLookedFor()
    {
        _folder.Write("config.json", "{}");
        Refused(_folder.Path, "any other *.safetensors file");
    }

    [Theory]
    [InlineData("a.gguf")]
    [InlineData("pytorch_model-00001-of-00002.bin")]
    public void Open_FolderWithForeignWeights_IsUnsupported(string file)
    {
        _folder.Write(file, "x");
        Assert.Throws<MoeUnsupportedException>(() => ModelFolder.Open(_folder.Path));
    }

    [Fact]
    public void Open_GgufFile_IsUnsupported() =>
        Assert.Throws<MoeUnsupportedException>(() => ModelFolder.Open(_folder.Write("a.gguf", "x")));

    private static void Refused(string path, string problem) => Assert.Contains(
        problem, Assert.Throws<MoeFormatException>(() => ModelFolder.Open(path)).Message, StringComparison.Ordinal);
}
