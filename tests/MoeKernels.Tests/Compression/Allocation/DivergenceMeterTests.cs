using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Tests.Compression.Pipeline;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Models;

namespace MoeKernels.Tests.Compression.Allocation;

/// <summary>Divergences with one layer exchanged, beside those of whole models.</summary>
public sealed class DivergenceMeterTests
{
    private const int Window = 8, Windows = 3;

    [Theory]
    [InlineData("qwen3_moe")]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public async Task Measure_ExchangedLayer_IsTheDivergenceOfTheWholeModel(string name)
    {
        using ModelFolder folder = ModelFolder.Open(Golden.Folder(name));
        using MoeModel dense = await MoeModel.LoadAsync(folder.Path);
        ModelDescription description = FamilyRegistry.Describe(folder.Config);
        int[] ids = TestCompression.RandomIds(description.VocabularySize, (Window * Windows) + 1);
        CalibrationWindows windows = new(description.Encoder is null ? ids[..^1] : ids[1..], Window);
        using WorkerPool pool = new(2);
        SublayerSource source = new(folder, description);
        using StackRunners runners = new(description, windows, pool, default);
        using DivergenceMeter meter = new(source, runners);
        Queue<string> prefixes = new(Networks(folder));
        foreach (SublayerSpec spec in description.Stacks.SelectMany(stack => stack.Blocks)
            .SelectMany(block => block.Sublayers))
        {
            if (spec.Layer is MoeSpec)
            {
                using TempFolder temp = new();
                Change(folder, prefixes.Dequeue(), temp);
                using ModelFolder changed = ModelFolder.Open(temp.Path);
                using MoeModel other = await MoeModel.LoadAsync(temp.Path);
                EvaluationOptions options = new() { Window = Window };
                double expected = other.Evaluate(ids, options, dense, null, default).Kl!.Value;
                using BuiltSublayer same = source.Build(spec);
                using BuiltSublayer exchanged = new SublayerSource(changed, description).Build(spec);
                Assert.InRange(expected, 1e-5, 10);
                Assert.Equal(expected, meter.Measure(exchanged.Layer), 1e-6 + (1e-4 * expected));
                Assert.Equal(0, meter.Measure(same.Layer), 1e-7);
            }

            meter.Advance();
        }

        Assert.Empty(prefixes);
    }

    /// <summary>What the names of every layer's experts begin with, in the order of the computation.</summary>
    private static IEnumerable<string> Networks(ModelFolder folder) => folder.Checkpoint.Names
        .Where(IsExpert).Select(name => name[..name.IndexOf(".experts.", StringComparison.Ordinal)]).Distinct()
        .OrderByDescending(prefix => prefix.Contains("encoder.", StringComparison.Ordinal))
        .ThenBy(prefix => int.Parse(prefix.Split('.').First(part => int.TryParse(part, null, out _)), null));

    private static bool IsExpert(string name) => name.Contains(".experts.", StringComparison.Ordinal);

    /// <summary>Writes the model with the experts of one layer negated.</summary>
    private static void Change(ModelFolder folder, string prefix, TempFolder target)
    {
        File.Copy(Path.Combine(folder.Path, "config.json"), target["config.json"]);
        SafetensorsWriter writer = new();
        foreach (string name in folder.Checkpoint.Names)
        {
            StoredTensor tensor = StoredTensor.From(folder.Checkpoint.Get(name));
            byte[] bytes = [.. tensor.Bytes];
            if (IsExpert(name) && name.StartsWith(prefix + ".experts.", StringComparison.Ordinal))
            {
                Assert.Equal(ElementType.BF16, tensor.Type);
                for (int i = 1; i < bytes.Length; i += 2)
                    bytes[i] ^= 0x80;
            }

            writer.Add(name, tensor.Type, tensor.Shape, stream => stream.Write(bytes));
        }

        writer.Save(target["model.safetensors"]);
    }
}
