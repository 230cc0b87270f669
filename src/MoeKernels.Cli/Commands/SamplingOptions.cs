using System.CommandLine;
using MoeKernels.Generation;

namespace MoeKernels.Cli.Commands;

/// <summary>The options that shape an answer.</summary>
internal sealed class SamplingOptions
{
    private readonly Option<int?> _count =
        NumberOptions.Integer("--max-tokens", "Most tokens to produce", min: 0).Or("-n");

    private readonly Option<float?> _temperature =
        NumberOptions.Real("--temperature", "0 takes the most likely token; default: the model's own").Or("-t");

    private readonly Option<int?> _topK =
        NumberOptions.Integer("--top-k", "Keep the k most likely tokens; 0 keeps all", min: 0);

    private readonly Option<float?> _topP =
        NumberOptions.Real("--top-p", "Keep the fewest tokens that reach p", max: 1);

    private readonly Option<float?> _minP =
        NumberOptions.Real("--min-p", "Keep tokens at least this likely, relative to the best", max: 1);

    private readonly Option<float?> _penalty = NumberOptions.Real(
        "--repetition-penalty", "Above 1: make tokens already seen less likely", min: 0.01f);

    private readonly Option<int?> _seed =
        NumberOptions.Integer("--seed", "Repeat the same text; default: a new one each time", min: int.MinValue);

    private readonly Option<string[]> _stop = new("--stop")
    {
        Description = "Text that ends the answer; may be repeated",
    };

    private readonly Option<bool> _ignoreEnd = new("--ignore-eos") { Description = "Go on past the end of the text" };

    public void AddTo(Command command)
    {
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
