using System.CommandLine;
using MoeKernels.Generation;

namespace MoeKernels.Cli.Commands;

/// <summary>The options that shape an answer.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<int?> _count = new("--max-tokens", "-n") { Description = "Most tokens to produce" };
    private readonly Option<float?> _temperature =
        ModelArguments.Number("--temperature", "0 takes the most likely token; default: the model's own");

    private readonly Option<int?> _topK = new("--top-k") { Description = "Keep the k most likely tokens" };
    private readonly Option<float?> _topP = ModelArguments.Number("--top-p", "Keep the fewest tokens that reach p");
    private readonly Option<float?> _minP =
        ModelArguments.Number("--min-p", "Keep tokens at least this likely, relative to the best");

    private readonly Option<float?> _penalty =
        ModelArguments.Number("--repetition-penalty", "Above 1: make tokens already seen less likely");

    private readonly Option<int?> _seed = new("--seed")
    {
        Description = "Repeat the same text; default: a new one each time",
    };

    private readonly Option<string[]> _stop = new("--stop")
    {
        Description = "Text that ends the answer; may be repeated",
    };

    private readonly Option<bool> _ignoreEnd = new("--ignore-eos") { Description = "Go on past the end of the text" };

    public void AddTo(Command command)
    {
        _temperature.Aliases.Add("-t");
        Option[] all = [_count, _temperature, _topK, _topP, _minP, _penalty, _seed, _stop, _ignoreEnd];
        foreach (Option option in all)
        {
            command.Options.Add(option);
        }
    }

    public GenerationOptions Read(ParseResult parsed) => new()
    {
        MaxNewTokens = parsed.GetValue(_count),
        Temperature = parsed.GetValue(_temperature),
        TopK = parsed.GetValue(_topK),
        TopP = parsed.GetValue(_topP),
        MinP = parsed.GetValue(_minP),
        RepetitionPenalty = parsed.GetValue(_penalty),
        Seed = parsed.GetValue(_seed),
        Stop = parsed.GetValue(_stop) ?? [],
        IgnoreEndOfSequence = parsed.GetValue(_ignoreEnd),
    };
}
