using MoeKernels;
using MoeKernels.Experts;
using MoeKernels.Generation;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Tests.Repository;

/// <summary>The README's examples, word for word: <see cref="ReadmeTests"/> compares them.</summary>
public class ReadmeCode
{
    [Fact]
    public void LayerExample_Runs()
    {
        float[] gateUp = Values(8 * 2 * 32 * 64), down = Values(8 * 64 * 32), routerWeight = Values(8 * 64);
        float[] hidden = Values(16 * 64), output = new float[hidden.Length];

        var spec = new MoeLayerSpec(RouterSpec.Qwen3Moe(experts: 8, topK: 2), Hidden: 64, Intermediate: 32);
        using var experts = ExpertWeights.Create(spec, gateUp, down);
        using var layer = new MoeLayer(spec, experts, routerWeight);
        using var workspace = new MoeWorkspace(layer.GetWorkspaceSize(maxTokens: 16));
        layer.Forward(hidden, output, tokens: 16, workspace);

        Assert.All(output, value => Assert.True(float.IsFinite(value)));
        Assert.Contains(output, value => value != 0);
    }

    /// <summary>Compiled only: its model is the reader's own.</summary>
    internal static async Task ModelExampleAsync()
    {
        await using var model = await MoeModel.LoadAsync("path/to/model");
        Console.Error.WriteLine(model.Backend);

        using var session = model.CreateSession();
        var options = new GenerationOptions { MaxNewTokens = 200, Seed = 1 };
        await foreach (var update in session.GenerateAsync("What is a mixture of experts?", options))
        {
            Console.Write(update.Text);
        }

        Console.Error.WriteLine(session.LastStats);
    }

    /// <summary>Compiled only: its model is the reader's own.</summary>
    internal static async Task DeviceExampleAsync()
    {
        var options = new MoeLoadOptions { Device = Device.Cuda(), RequireDevice = true };
        await using var onDevice = await MoeModel.LoadAsync("path/to/model", options);
        Console.Error.WriteLine(onDevice.Backend);
    }

    private static float[] Values(int count) =>
        [.. Enumerable.Range(0, count).Select(i => (i * 37 % 101 / 101f) - 0.5f)];
}
