using MoeKernels.Experts;
using MoeKernels.Models.Layers;
using MoeKernels.Router;
using MoeKernels.Tests.Router;

namespace MoeKernels.Tests.Models.Layers;

public class BigMacLayerTests
{
    private const int Hidden = 48;
    private const int LowRank = 12;
    private const int Experts = 8;

    private static readonly BigMacLayerSpec Spec = new(RouterSpec.BigMac(Experts, 2), Hidden, LowRank, Hidden);

    [Fact]
    public void Forward_ReferenceLayer_GivesStoredOutput()
    {
        using var golden = new GoldenFile("bigmac-layer");
        using var experts = ReferenceLayerExperts();
        using var layer = ReferenceLayer(experts);
        using var workspace = new MoeWorkspace(threads: 2);
        float[] x = golden.Floats("input");
        float[] y = new float[x.Length];
        Array.Fill(y, float.NaN);
        layer.Forward(x, y, x.Length / Hidden, workspace);
        float[] expected = golden.Floats("output");
        float tolerance = 1e-5f * expected.Max(Math.Abs);
        for (int i = 0; i < y.Length; i++)
            Assert.InRange(y[i], expected[i] - tolerance, expected[i] + tolerance);
    }

    [Fact]
    public unsafe void Router_ReferenceLayer_SeesTheFullWidth()
    {
        using var golden = new GoldenFile("bigmac-layer");
        using var weights = new GoldenFile("bigmac-layer", "layer.safetensors");
        float[] x = golden.Floats("input");
        float[] logits = new float[x.Length / Hidden * Experts];
        fixed (float* gate = weights.Floats("mlp.gate.weight"), input = x, output = logits)
        {
            var matrix = new WeightMatrix(WeightFormat.F32, gate, Experts, Hidden, Hidden * sizeof(float));
            LinearRouter.Logits(matrix, null, input, x.Length / Hidden, output);
        }

        var run = RouterRun.Select(Spec.Router, logits);
        Assert.Equal(golden.Ints("ids"), run.Ids);
        float[] expected = golden.Floats("weights");
        for (int i = 0; i < expected.Length; i++)
            Assert.InRange(run.Weights[i], expected[i] - 1e-6f, expected[i] + 1e-6f);
    }

    [Fact]
    public void Forward_IdentityProjections_IsThePlainLayerBitForBit()
    {
        var spec = new BigMacLayerSpec(RouterSpec.BigMac(4, 2), 20, 20, 30);
        using var fixture = new LayerFixture(spec.Experts);
        float[] identity = new float[20 * 20];
        for (int i = 0; i < 20; i++)
            identity[(i * 20) + i] = 1f;
        using var layer = new BigMacLayer(spec, fixture.Experts, fixture.RouterWeight, identity, identity);
        using var workspace = new MoeWorkspace(threads: 1);
        float[] x = fixture.Input(9);
        float[] y = new float[x.Length];
        layer.Forward(x, y, 9, workspace);
        Assert.Equal(fixture.Forward(x, workspace), y);
    }

    [Fact]
    public void Forward_Warm_AllocatesNothing()
    {
        using var experts = ReferenceLayerExperts();
        using var layer = ReferenceLayer(experts);
        using var workspace = new MoeWorkspace(layer.GetWorkspaceSize(4, threads: 1), threads: 1);
        long bytes = workspace.Bytes;
        float[] x = new float[4 * Hidden];
        float[] y = new float[4 * Hidden];
        for (int i = 0; i < 3; i++)
            layer.Forward(x, y, 4, workspace);

        long before = GC.GetAllocatedBytesForCurrentThread();
        layer.Forward(x, y, 4, workspace);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(bytes, workspace.Bytes);
    }

    [Fact]
    public void Experts_SwappedMatrices_HaveTheParametersOfOrdinaryFineGrainedOnes()
    {
        // Descend-communicate-communicate-ascend swaps an expert's two matrices: [h, r h] and [r h, h] either way.
        var ordinary = new MoeLayerSpec(Spec.Router, Hidden, LowRank);
        Assert.Equal(ordinary.Hidden * ordinary.Intermediate, Spec.Experts.Hidden * Spec.Experts.Intermediate);
    }

    private static BigMacLayer ReferenceLayer(ExpertWeights experts)
    {
        using var file = new GoldenFile("bigmac-layer", "layer.safetensors");
        return new BigMacLayer(
            Spec, experts, file.Floats("mlp.gate.weight"), file.Floats("mlp.descend.weight"),
            file.Floats("mlp.ascend.weight"));
    }

    private static ExpertWeights ReferenceLayerExperts()
    {
        using var file = new GoldenFile("bigmac-layer", "layer.safetensors");
        float[] All(string name) =>
            [.. Enumerable.Range(0, Experts).SelectMany(e => file.Floats($"mlp.experts.{e}.{name}.weight"))];
        return ExpertWeights.Create(Spec.Experts, All("up_proj"), All("down_proj"));
    }
}
