using MoeKernels.Formats;
using MoeKernels.Generation;
using MoeKernels.Models.Families;
using MoeKernels.Planning;
using MoeKernels.Text;

namespace MoeKernels;

/// <summary>Everything of a model folder but its weights.</summary>
/// <param name="Info">Summary.</param>
/// <param name="Tokenizer">Null when the folder has none.</param>
/// <param name="ChatTemplate">Read when first asked for: a template that cannot be read must not keep a model from
/// completing text.</param>
/// <param name="Defaults">Sampling defaults.</param>
internal sealed record ModelParts(
    ModelInfo Info, Tokenizer? Tokenizer, Lazy<ChatTemplate?> ChatTemplate, GenerationDefaults Defaults)
{
    /// <summary>Reads description, tokenizer, template and generation defaults.</summary>
    public static ModelParts Read(string path, ModelFolder folder)
    {
        var info = ModelInspector.Inspect(folder, FamilyRegistry.Describe(folder.Config));
        var tokenizer = folder.FileOrNull("tokenizer.json") is null ? null : Tokenizer.Load(path);
        return new ModelParts(info, tokenizer, new(() => Text.ChatTemplate.Load(path)), ReadDefaults(folder));
    }

    private static GenerationDefaults ReadDefaults(ModelFolder folder)
    {
        var own = folder.GenerationConfig;
        return new GenerationDefaults
        {
            DoSample = own?.BoolOr(false, "do_sample") ?? false,
            MaxNewTokens = own?.OptionalPositive("max_new_tokens"),
            Temperature = own?.OptionalFloat("temperature"),
            TopK = own?.OptionalInt("top_k"),
            TopP = own?.OptionalFloat("top_p"),
            MinP = own?.OptionalFloat("min_p"),
            RepetitionPenalty = own?.OptionalFloat("repetition_penalty"),
            EndOfSequence = own?.OptionalIntOrArray("eos_token_id")
                ?? folder.Config.OptionalIntOrArray("eos_token_id")
                ?? folder.Config.Text.OptionalIntOrArray("eos_token_id")
                ?? [],
        };
    }
}
