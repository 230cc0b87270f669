using MoeKernels.Experts;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Tests.Models.Layers;

public class MoeLayerTests
{
    private static readonly Activation OaiGated = new(ActivationKind.ClampedSwiGlu, Gated: true);

    private static readonly Dictionary<string, MoeLayerSpec> Layers = new()
    {
        ["mixtral"] = new(RouterSpec.Mixtral(), 33, 20),
        ["qwen2"] = new(RouterSpec.Qwen2Moe(6, 3), 40, 17) { SharedIntermediate = 21, HasSharedGate = true },
        ["deepseek-v3"] = new(RouterSpec.DeepSeekV3(16, 4, 4, 2), 24, 12) { SharedIntermediate = 9 },
        ["gpt-oss"] = new(RouterSpec.GptOss(8, 4), 32, 18)
        {
            Activation = OaiGated,
            GateUpOrder = GateUpOrder.Interleaved,
        },
        ["llama4"] = new(RouterSpec.Llama4(4, 2), 20, 30) { SharedIntermediate = 30 },
        ["pangu"] = new(RouterSpec.PanguProMoe(16, 4, 4), 19, 16) { SharedIntermediate = 64 },
        ["switch"] = new(RouterSpec.Switch(4, capacity: 3), 16, 40) { Activation = Activation.Relu },
        ["switch-scaled-input"] = new(RouterSpec.Switch(4, 2, DropRule.ScaledInput), 16, 40)
        {
            Activation = Activation.Relu,
        },
        ["nllb"] = new(RouterSpec.NllbMoe(6, tokenFraction: 0.3), 16, 40) { Activation = Activation.Relu },
        ["tutel"] = new(RouterSpec.Tutel(6, 2, prioritized: true), 16, 24) { Activation = Activation.Relu },
    };

    public static TheoryData<string> Names => [.. Layers.Keys];

    /// <summary>Layers without a capacity: with one, rows depend on each other by nature.</summary>
    public static TheoryData<string> Dropless => [.. Layers.Keys.Where(name => !Layers[name].Router.CanDrop)];

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_AnyFamily_IsTheScalarReference(string name)
    {
        using var fixture = new LayerFixture(Layers[name], biases: name is "gpt-oss" or "nllb");
        using var workspace = new MoeWorkspace(threads: 2);
        foreach (int tokens in new[] { 1, 2, 19 })
        {
            float[] x = fixture.Input(tokens);
            double[] expected = fixture.Reference(x);
            float[] actual = fixture.Forward(x, workspace);
            double tolerance = 2e-6 * expected.Max(Math.Abs);
            for (int i = 0; i < x.Length; i++)
                Assert.Equal(expected[i], actual[i], tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Dropless))]
    public void Forward_RowAlone_HasTheBitsItHasInABatch(string name)
    {
        var spec = Layers[name];
        using var fixture = new LayerFixture(spec);
        using var one = new MoeWorkspace(threads: 1);
        using var three = new MoeWorkspace(threads: 3);
        float[] x = fixture.Input(11);
        float[] batch = fixture.Forward(x, three);
        Assert.Equal(batch, fixture.Forward(x, one));
        for (int t = 0; t < 11; t++)
        {
            var row = (t * spec.Hidden)..((t + 1) * spec.Hidden);
            Assert.Equal(batch[row], fixture.Forward(x[row], one));
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_Warm_AllocatesNothing(string name)
    {
        using var fixture = new LayerFixture(Layers[name]);
        using var workspace = new MoeWorkspace(fixture.Layer.GetWorkspaceSize(8, threads: 2), threads: 2);
        float[] x = fixture.Input(8);
        float[] y = new float[x.Length];
        long bytes = workspace.Bytes;
        for (int i = 0; i < 3; i++)
            fixture.Layer.Forward(x, y, 8, workspace);

        long before = GC.GetAllocatedBytesForCurrentThread();
        fixture.Layer.Forward(x, y, 8, workspace);
        fixture.Layer.Forward(x.AsSpan(0, fixture.Spec.Hidden), y, 1, workspace);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(bytes, workspace.Bytes);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Forward_WithTheLayersOwnRouting_HasTheSameBits(string name)
    {
        using var fixture = new LayerFixture(Layers[name]);
        using var workspace = new MoeWorkspace(threads: 1);
        int k = fixture.Spec.Router.TopK;
        float[] x = fixture.Input(7);
        int[] ids = new int[7 * k];
        float[] weights = new float[7 * k];
        fixture.Layer.Route(x, ids, weights, 7, workspace);
        float[] y = new float[x.Length];
        float[] given = [.. weights];
        fixture.Layer.Forward(x, new Routing(ids, weights), y, 7, workspace);
        Assert.Equal(fixture.Forward(x, workspace), y);
        Assert.Equal(given, weights);
    }

    /// <summary>Buffers made for a larger batch may be used again for a smaller one.</summary>
    [Fact]
    public void Forward_RoutingLongerThanTheBatch_UsesItsBeginning()
    {
        using var fixture = new LayerFixture(Layers["mixtral"]);
        using var workspace = new MoeWorkspace(threads: 1);
        int k = fixture.Spec.Router.TopK;
        float[] x = fixture.Input(2);
        int[] ids = new int[1_000_000 * k];
        float[] weights = new float[1_000_000 * k];
        fixture.Layer.Route(x, ids, weights, 2, workspace);
        float[] y = new float[x.Length];
        fixture.Layer.Forward(x, new Routing(ids, weights), y, 2, workspace);
        Assert.Equal(fixture.Forward(x, workspace), y);
    }

    [Fact]
    public void Forward_NoTokens_DoesNothing()
    {
        using var fixture = new LayerFixture(Layers["qwen2"]);
        using var workspace = new MoeWorkspace(threads: 1);
        fixture.Layer.Forward([], [], 0, workspace);
    }

    [Fact]
    public void Forward_NaNInput_NamesTheRouterAndLeavesEverythingUsable()
    {
        using var fixture = new LayerFixture(Layers["mixtral"]);
        using var workspace = new MoeWorkspace(threads: 1);
        float[] x = fixture.Input(2);
        float[] expected = fixture.Forward(x, workspace);
        float[] bad = [.. x];
        bad[5] = float.NaN;
        Assert.Equal("router", Assert.Throws<MoeNonFiniteException>(() => fixture.Forward(bad, workspace)).Step);
        Assert.Equal(expected, fixture.Forward(x, workspace));
    }

    [Fact]
    public void Forward_WrongArguments_AreRefused()
    {
        using var fixture = new LayerFixture(Layers["mixtral"]);
        using var workspace = new MoeWorkspace(threads: 1);
        float[] x = fixture.Input(2);
        Assert.Throws<ArgumentException>(() => fixture.Layer.Forward(x, new float[x.Length], 3, workspace));
        Assert.Throws<ArgumentException>(() => fixture.Layer.Forward(x, new float[x.Length - 1], 2, workspace));
        Assert.Throws<ArgumentException>(() => fixture.Layer.Forward(x, x, 2, workspace));
        Assert.Throws<ArgumentOutOfRangeException>(() => fixture.Layer.Forward(x, new float[x.Length], -1, workspace));
        Assert.Throws<ArgumentNullException>(() => fixture.Layer.Forward(x, new float[x.Length], 2, null!));
        Assert.Throws<ArgumentException>(
            () => fixture.Layer.Forward(x, new Routing([0, 8, 1, 2], new float[4]), new float[x.Length], 2, workspace));
    }

    [Fact]
    public void Forward_AfterDispose_IsRefused()
    {
        using var fixture = new LayerFixture(Layers["mixtral"]);
        var workspace = new MoeWorkspace(threads: 1);
        float[] x = fixture.Input(1);
        workspace.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Forward(x, workspace));
        using var second = new MoeWorkspace(threads: 1);
        fixture.Experts.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Forward(x, second));
        fixture.Layer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => fixture.Forward(x, second));
    }

    [Fact]
    public void Constructor_PartsThatDoNotFit_AreRefused()
    {
        var spec = Layers["mixtral"];
        using var fixture = new LayerFixture(spec);
        float[] router = fixture.RouterWeight.ToArray();
        Assert.Throws<ArgumentException>(() => new MoeLayer(spec, fixture.Experts, router.AsSpan(1)));
        Assert.Throws<ArgumentException>(() => new MoeLayer(spec, fixture.Experts, router, routerBias: new float[8]));
        Assert.Throws<ArgumentException>(() => new MoeLayer(spec, fixture.Experts, router, shared: fixture.Experts));
        Assert.Throws<ArgumentException>(
            () => new MoeLayer(spec with { Intermediate = 21 }, fixture.Experts, router));
        router[3] = float.NaN;
        Assert.Throws<ArgumentException>(() => new MoeLayer(spec, fixture.Experts, router));
    }

    [Fact]
    public async Task Forward_SeveralThreadsOnOneLayer_GiveTheSameBits()
    {
        using var fixture = new LayerFixture(Layers["deepseek-v3"]);
        float[] x = fixture.Input(5);
        using var workspace = new MoeWorkspace(threads: 1);
        float[] expected = fixture.Forward(x, workspace);
        var runs = Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            using var own = new MoeWorkspace(threads: 1);
            return fixture.Forward(x, own);
        }));
        foreach (float[] actual in await Task.WhenAll(runs))
            Assert.Equal(expected, actual);
    }
}
