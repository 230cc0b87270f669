using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Families;

/// <summary>The families of checkpoints this library runs.</summary>
internal static class FamilyRegistry
{
    /// <summary>Every family, in the order of their names.</summary>
    public static IReadOnlyList<ModelFamily> All { get; } =
    [
        new DeepSeekV2Family(),
        new DeepSeekV3Family(),
        new Glm4MoeFamily(),
        new GptOssFamily(),
        new LlamaFamily(),
        new Llama4Family(),
        new MiniMaxM2Family(),
        new MixtralFamily(),
        new NllbMoeFamily(),
        new OlmoeFamily(),
        new PanguProMoeFamily(),
        new Qwen2MoeFamily(),
        new Qwen3MoeFamily(),
        new Qwen3NextFamily(),
        new SwitchTransformersFamily(),
    ];

    /// <summary>Describes the model of a config.</summary>
    /// <param name="config">The root of <c>config.json</c>.</param>
    /// <exception cref="MoeFormatException">A key is missing or out of range.</exception>
    /// <exception cref="MoeUnsupportedException">No family answers to <c>model_type</c>, or the family lacks something
    /// the config asks for.</exception>
    public static ModelDescription Describe(ConfigReader config)
    {
        string type = config.String("model_type");
        ModelFamily family = All.FirstOrDefault(family => family.ModelTypes.Contains(type))
            ?? throw config.Unsupported("model_type", $"the model type '{type}'");
        return family.Describe(config);
    }
}
