using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Families;

/// <summary>One family of checkpoints: reads its config and describes the model. Adding a family is adding one file
/// with a subclass and its line in <see cref="FamilyRegistry"/>.</summary>
internal abstract class ModelFamily
{
    /// <summary>Values of <c>model_type</c> this family answers to.</summary>
    public abstract IReadOnlyList<string> ModelTypes { get; }

    /// <summary>Describes the model of a config.</summary>
    /// <exception cref="MoeFormatException">A key is missing or out of range.</exception>
    /// <exception cref="MoeUnsupportedException">The config asks for something the family does not do.</exception>
    public abstract ModelDescription Describe(ConfigReader config);

    /// <summary>The rule that a switch such as <c>attention_bias</c> sets.</summary>
    internal static BiasRule Bias(ConfigReader config, string key, bool otherwise = false) =>
        config.BoolOr(otherwise, key) ? BiasRule.Required : BiasRule.None;
}
