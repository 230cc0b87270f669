using MoeKernels.Router;

namespace MoeKernels.Tests.Router;

public class RouterSpecTests
{
    [Fact]
    public void Validate_EveryPreset_Passes()
    {
        RouterSpec[] presets =
        [
            RouterSpec.Mixtral(), RouterSpec.Qwen2Moe(), RouterSpec.Qwen3Moe(), RouterSpec.Qwen3Next(),
            RouterSpec.Olmoe(), RouterSpec.DeepSeekV2Lite(), RouterSpec.DeepSeekV2(), RouterSpec.DeepSeekV3(),
            RouterSpec.Glm4Moe(), RouterSpec.MiniMaxM2(), RouterSpec.GptOss(), RouterSpec.Llama4(),
            RouterSpec.PanguProMoe(), RouterSpec.Switch(), RouterSpec.NllbMoe(), RouterSpec.Tutel(8),
            RouterSpec.BigMac(),
        ];
        Assert.All(presets, preset => preset.Validate());
    }

    [Fact]
    public void Validate_Contradictions_AreRefused()
    {
        RouterSpec[] wrong =
        [
            new(0, 1), new(4, 0), new(4, 5), new(4, 2) { Groups = 3 }, new(4, 2) { Scale = float.NaN },
            RouterSpec.DeepSeekV3(8, 4, groups: 4, keptGroups: 1),
            RouterSpec.DeepSeekV3(8, 4, groups: 4, keptGroups: 5),
            RouterSpec.PanguProMoe(8, 3, 4), new(4, 2) { MaskedChoice = 1 },
            RouterSpec.Tutel(4, alignment: 0), RouterSpec.Tutel(4, capacityFactor: double.NaN),
            new(4, 1) { Capacity = new() { Kind = CapacityKind.PerSequence } },
        ];
        Assert.All(wrong, spec => Assert.Throws<ArgumentException>(spec.Validate));
    }

    [Fact]
    public void Nllb_OutputFactor_IsFourFifths() => Assert.Equal(0.8f, RouterSpec.NllbMoe().OutputFactor);

    [Fact]
    public void CanDrop_IsTrueOnlyWithABound()
    {
        Assert.False(RouterSpec.Mixtral().CanDrop);
        Assert.False(RouterSpec.Tutel(8, 2, capacityFactor: 0).CanDrop);
        Assert.True(RouterSpec.Tutel(8, 2, capacityFactor: -1).CanDrop);
        Assert.True(RouterSpec.Switch().CanDrop);
        Assert.False(RouterSpec.Switch(capacity: 0).CanDrop);
    }
}
