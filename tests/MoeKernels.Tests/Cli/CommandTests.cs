using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Cli;

public class CommandTests
{
    private static string Model => RepositoryPaths.DataFile("novelist-s");

    [Fact]
    public async Task Generate_WithoutModel_UsesTheSampleAndPrintsOnlyText()
    {
        var result = await MoeCommand.RunAsync("generate", "-p", "It was a", "-n", "8", "-t", "0", "-q");
        Assert.Equal(0, result.ExitCode);
        Assert.StartsWith("It was a", result.Output, StringComparison.Ordinal);
        Assert.True(result.Output.Length > "It was a".Length + 5);
        Assert.Empty(result.Error);
    }

    [Fact]
    public async Task Generate_Json_WritesTokensThenDone()
    {
        var result = await MoeCommand.RunAsync("generate", Model, "-p", "It was a", "-n", "5", "--seed", "3", "--json");
        Assert.Equal(0, result.ExitCode);
        Assert.Equal(6, result.JsonLines.Length);
        Assert.All(result.JsonLines[..5], line => Assert.Equal("token", line.GetProperty("type").GetString()));
        var done = result.JsonLines[5];
        Assert.Equal("moe.generate/1", done.GetProperty("schema").GetString());
        Assert.Equal("length", done.GetProperty("finish").GetString());
        Assert.Equal(5, done.GetProperty("usage").GetProperty("new").GetInt32());
        var again = await MoeCommand.RunAsync("generate", Model, "-p", "It was a", "-n", "5", "--seed", "3", "--json");
        Assert.Equal(
            result.JsonLines[..5].Select(line => line.GetProperty("id").GetInt32()),
            again.JsonLines[..5].Select(line => line.GetProperty("id").GetInt32()));
    }

    [Fact]
    public async Task Generate_PromptFromStandardInput_IsRead()
    {
        var result = await MoeCommand.RunAsync("Once upon", ["generate", "-p", "-", "-n", "2", "-t", "0", "-q"]);
        Assert.StartsWith("Once upon", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_PromptFromAFile_IsRead()
    {
        using var folder = new TempFolder();
        string prompt = folder.Write("prompt.txt", "Once upon a \"time\"");
        var result = await MoeCommand.RunAsync("generate", "-p", "@" + prompt, "-n", "2", "-t", "0", "-q");
        Assert.StartsWith("Once upon a \"time\"", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Generate_TerminatedWhileItWaitsForInput_IsCancelledAtOnce()
    {
        var result = await MoeCommand.TerminateAsync("generate", "-p", "-");
        Assert.Equal(130, result.ExitCode);
        Assert.Equal("Cancelled.\n", result.Error);
    }

    [Fact]
    public async Task Doctor_EncoderDecoder_Passes()
    {
        var result = await MoeCommand.RunAsync("doctor", "--model", RepositoryPaths.DataFile("models", "switch"));
        Assert.Equal(0, result.ExitCode);
        Assert.Contains("ok    model", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_ModelWithNaN_FailsItsCheck()
    {
        using ModelVariant variant = ModelVariant.Of("mixtral");
        const string Router = "model.layers.0.block_sparse_moe.gate.weight";
        variant.Tensors[Router] = variant.Tensors[Router].WithNaN();
        var result = await MoeCommand.RunAsync("doctor", "--model", variant.Save());
        Assert.Equal(6, result.ExitCode);
        Assert.Contains("FAIL  model", result.Output, StringComparison.Ordinal);
        Assert.Contains("model.layers.0", result.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_Json_NamesFamilyExpertsAndParts()
    {
        var result = await MoeCommand.RunAsync("inspect", Model, "--json", "--tensors", "*experts.0.up_proj*");
        Assert.Equal("qwen3_moe", result.Json.GetProperty("family").GetString());
        Assert.Equal(16, result.Json.GetProperty("experts").GetInt32());
        Assert.Equal(4, result.Json.GetProperty("tensors").GetArrayLength());
        var parts = result.Json.GetProperty("parts").EnumerateArray().ToDictionary(
            part => part.GetProperty("role").GetString()!, part => part.GetProperty("parameters").GetInt64());
        Assert.Equal(4L * 16 * 3 * 128 * 128, parts["RoutedExperts"]);
        Assert.DoesNotContain("Unused", parts.Keys);
    }

    [Fact]
    public async Task Plan_TooSmallAMachine_SaysSoWithExitCode5()
    {
        var fits = await MoeCommand.RunAsync("plan", Model, "--json");
        Assert.Equal(0, fits.ExitCode);
        Assert.True(fits.Json.GetProperty("fits").GetBoolean());
        var small = await MoeCommand.RunAsync("plan", Model, "--for", "16MiB");
        Assert.Equal(5, small.ExitCode);
        Assert.Contains("does not fit", small.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Doctor_Json_PassesItsSelfTests()
    {
        var result = await MoeCommand.RunAsync("doctor", "--model", Model, "--json");
        Assert.Equal(0, result.ExitCode);
        Assert.DoesNotContain(
            result.Json.GetProperty("checks").EnumerateArray(),
            check => check.GetProperty("status").GetString() == "FAIL");
        Assert.Equal(4, (await MoeCommand.RunAsync("doctor", "--require", "cuda")).ExitCode);
    }

    [Fact]
    public async Task Eval_AgainstItself_HasNoDivergence()
    {
        var result = await MoeCommand.RunAsync("eval", Model, "--ref", Model, "--windows", "2", "--json");
        Assert.Equal(0, result.ExitCode);
        Assert.Equal(1024, result.Json.GetProperty("tokens").GetInt64());
        Assert.Equal(0, result.Json.GetProperty("kl").GetDouble(), 9);
        Assert.Equal(0, result.Json.GetProperty("kl_99").GetDouble(), 9);
        Assert.Equal(
            result.Json.GetProperty("nll").GetDouble(), result.Json.GetProperty("reference_nll").GetDouble(), 9);
        Assert.Equal(1, result.Json.GetProperty("same_top").GetDouble());
        Assert.Equal(
            Math.Exp(result.Json.GetProperty("nll").GetDouble()), result.Json.GetProperty("perplexity").GetDouble(), 6);
    }

    [Fact]
    public async Task BenchKernel_Json_HasTheNamedFields()
    {
        string[] words =
            ["bench", "kernel", "--layout", "codebook:8", "--shape", "128x64", "--rotate-mib", "0", "--repeat", "1"];
        var result = await MoeCommand.RunAsync([.. words, "--threads", "1", "--share", "2", "--json"]);
        Assert.Equal((0, string.Empty), (result.ExitCode, result.Error));
        Assert.Equal("moe.bench/1", result.Json.GetProperty("schema").GetString());
        foreach (string name in new[] { "weights_per_s", "bytes_per_s", "plain_read_bytes_per_s" })
        {
            Assert.True(result.Json.GetProperty(name).GetDouble() > 0);
        }

        var table = await MoeCommand.RunAsync([.. words]);
        Assert.Contains("| codebook:8 | 128x64 | 1.250 |", table.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BenchModel_Json_HasEveryLength()
    {
        string[] words =
            ["bench", "model", Model, "--prompt-tokens", "4", "6", "--decode-tokens", "2", "--repeat", "1"];
        var result = await MoeCommand.RunAsync([.. words, "--json"]);
        Assert.Equal((0, string.Empty), (result.ExitCode, result.Error));
        Assert.Equal(2, result.Json.GetProperty("lengths").GetArrayLength());
        var table = await MoeCommand.RunAsync([.. words]);
        Assert.Contains("| prompt tokens | prefill tokens/s |", table.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bench", "kernel", "--shape", "12")]
    [InlineData("bench", "kernel", "--layout", "codebook:99")]
    [InlineData("bench", "kernel", "--shape", "0x4")]
    public async Task Bench_WrongWords_AreAUsageError(params string[] words) =>
        Assert.Equal(2, (await MoeCommand.RunAsync(words)).ExitCode);

    [Fact]
    public async Task Tokenize_AndDecode_RoundTrip()
    {
        const string Text = "Call me Ishmael. 15 naïve whales — gone!";
        var encoded = await MoeCommand.RunAsync("tokenize", Model, "-p", Text, "--json", "--no-special");
        int[] ids = [.. encoded.Json.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        Assert.Equal(ids.Length, encoded.Json.GetProperty("tokens").GetArrayLength());
        Assert.Equal(Text.Length, encoded.Json.GetProperty("offsets")[ids.Length - 1][1].GetInt32());
        var decoded = await MoeCommand.RunAsync("tokenize", Model, "-p", string.Join(' ', ids), "--decode");
        Assert.Equal(Text + "\n", decoded.Output);
    }

    [Fact]
    public async Task Logits_OfAReferenceModel_WritesTheNamesOfTheReference()
    {
        string folder = RepositoryPaths.DataFile("models", "mixtral");
        string ids = Path.Combine(folder, "golden.safetensors");
        string output = Path.GetTempFileName();
        var result = await MoeCommand.RunAsync(
            "logits", folder, "--ids", ids, "--out", output, "--hidden", "--router", "--json");
        Assert.Equal(0, result.ExitCode);
        using var expected = MoeKernels.Formats.SafetensorsFile.Open(ids);
        using var written = MoeKernels.Formats.SafetensorsFile.Open(output);
        string[] inputs = ["input_ids", "greedy_ids", "greedy_min_gap"];
        Assert.Equal(expected.Tensors.Keys.Except(inputs).Order(), written.Tensors.Keys.Order());
        float[] logits = Read(expected), ours = Read(written);
        Assert.All(logits.Zip(ours), pair => Assert.InRange(pair.Second - pair.First, -1e-3f, 1e-3f));
        File.Delete(output);
    }

    [Theory]
    [InlineData(2, "generate", "--nope")]
    [InlineData(2, "generate", "--ctx", "99999")]
    [InlineData(2, "generate", "--device", "tpu")]
    [InlineData(2, "tokenize", "--decode", "-p", "4096")]
    [InlineData(2, "tokenize")]
    [InlineData(2, "plan", "--for", "lots")]
    [InlineData(3, "generate", "no/such/folder")]
    [InlineData(3, "inspect", "no/such/folder")]
    [InlineData(3, "tokenize", "no/such/folder", "-p", "x")]
    [InlineData(3, "chat", "-p", "Hello")]
    [InlineData(4, "generate", "--device", "cuda:63")]
    [InlineData(4, "bench", "model", "--device", "cuda")]
    public async Task Mistakes_GiveOneSentenceAndTheirExitCode(int exitCode, params string[] arguments)
    {
        var result = await MoeCommand.RunAsync(arguments);
        Assert.Equal(exitCode, result.ExitCode);
        Assert.Empty(result.Output);
        string sentence = result.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1];
        Assert.StartsWith("moe: ", sentence, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Parameter", result.Error, StringComparison.Ordinal);
    }

    private static float[] Read(MoeKernels.Formats.SafetensorsFile file)
    {
        var tensor = file.Tensors["logits"];
        float[] values = new float[tensor.ElementCount];
        file.Read(tensor, 0, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
