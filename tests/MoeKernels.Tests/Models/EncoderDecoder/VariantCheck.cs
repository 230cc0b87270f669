using System.Text.Json.Nodes;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cuda;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>Compares a model folder with a scalar reference over batches that are padded in every way.</summary>
internal static class VariantCheck
{
    /// <summary>Source masks, one batch each: no padding, behind, before, between.</summary>
    private static readonly int[][][] Masks =
    [
        [[1, 1, 1, 1, 1, 1, 1]],
        [[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]],
        [[0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]],
        [[1, 0, 1, 1, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1]],
    ];

    /// <summary>Sets the keys of a JSON object in another.</summary>
    public static void Apply(JsonObject config, string changes)
    {
        foreach (var (key, value) in (JsonObject)JsonNode.Parse(changes)!)
            config[key] = value?.DeepClone();
    }

    public static void Run(RandomCheckpoint checkpoint, ReferenceModel reference)
    {
        using TestModel model = TestModel.Load(checkpoint.Folder, threads: 2);
        Run(model, checkpoint.Config, reference);
    }

    /// <summary>The same on a device, where only these steps run on the host.</summary>
    public static void RunOnADevice(
        RandomCheckpoint checkpoint, ReferenceModel reference, params string[] hostSteps)
    {
        DevicePlacement placement = new(NativeLibraryUnderTest.Require());
        using TestModel model = TestModel.Load(checkpoint.Folder, placement: placement);
        Assert.Equal(hostSteps, placement.HostReasons);
        Run(model, checkpoint.Config, reference);
    }

    private static void Run(TestModel model, JsonObject config, ReferenceModel reference)
    {
        Random random = new(17);
        int vocabulary = (int)config["vocab_size"]!, pad = (int)config["pad_token_id"]!;
        int[] Random(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(4, vocabulary))];
        foreach (int[][] mask in Masks)
        {
            int[][] ids = [.. mask.Select(row => row.Select(m => m == 0 ? pad : Random(1)[0]).ToArray())];
            int[][] decoderIds = [.. mask.Select(_ => Random(5))];
            ForwardInput input = new(mask.Length, Flat(ids), Flat(mask), Flat(decoderIds));
            var tensors = ForwardRecorder.Run(model.Transformer, model.Pool, input, hidden: false, router: false);
            double[] expected = [.. reference.Logits(ids, mask, decoderIds).SelectMany(row => row)];
            AssertClose(expected, Assert.Single(tensors).Values!);
        }
    }

    private static int[] Flat(int[][] rows) => [.. rows.SelectMany(row => row)];

    private static void AssertClose(double[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        double tolerance = 1e-4 * expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], actual[i], tolerance);
    }
}
