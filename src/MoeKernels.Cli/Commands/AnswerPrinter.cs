using MoeKernels.Cli.Output;
using MoeKernels.Generation;

namespace MoeKernels.Cli.Commands;

/// <summary>Shows an answer as it is produced: plain text, or JSON lines of type token, then one of type
/// done.</summary>
internal static class AnswerPrinter
{
    public const string Schema = "moe.generate/1";

    /// <summary>Prints all updates.</summary>
    /// <param name="terminal">Where to.</param>
    /// <param name="session">The session that answers.</param>
    /// <param name="backend">Named in the JSON summary.</param>
    /// <param name="updates">The answer.</param>
    /// <param name="lead">Plain text to show before the answer, once there is one.</param>
    public static async Task PrintAsync(
        Terminal terminal, MoeSession session, string backend, IAsyncEnumerable<TokenUpdate> updates, string lead = "")
    {
        var finish = FinishReason.None;
        await foreach (var update in updates)
        {
            terminal.EndProgress();
            finish = update.Finish;
            if (terminal.Json)
            {
                terminal.WriteJson(json =>
                {
                    json.WriteString("type", "token");
                    json.WriteNumber("id", update.TokenId);
                    json.WriteString("text", update.Text);
                    json.WriteNumber("logprob", update.LogProbability);
                });
            }
            else
            {
                terminal.Write(lead + update.Text);
                lead = string.Empty;
            }
        }

        Finish(terminal, session.LastStats, backend, finish);
    }

    private static void Finish(Terminal terminal, GenerationStats stats, string backend, FinishReason finish)
    {
        if (!terminal.Json)
        {
            terminal.WriteLine();
            return;
        }

        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteString("type", "done");
            json.WriteString("finish", finish switch
            {
                FinishReason.EndOfSequence or FinishReason.StopText => "stop",
                _ => "length",
            });
            json.WriteStartObject("usage");
            json.WriteNumber("prompt", stats.PromptTokens);
            json.WriteNumber("cached", stats.CachedTokens);
            json.WriteNumber("new", stats.NewTokens);
            json.WriteEndObject();
            json.WriteNumber("time_to_first_token_s", stats.PrefillTime.TotalSeconds);
            json.WriteNumber("prefill_tok_s", stats.PrefillTokensPerSecond);
            json.WriteNumber("decode_tok_s", stats.DecodeTokensPerSecond);
            json.WriteString("backend", backend);
        });
    }

    /// <summary>One line of figures on stderr.</summary>
    public static string Describe(GenerationStats stats) =>
        $"{stats.PromptTokens} prompt tokens ({stats.CachedTokens} cached), first token after "
        + $"{Units.Number(stats.PrefillTime.TotalSeconds)} s, {stats.NewTokens} new at "
        + $"{Units.Number(stats.DecodeTokensPerSecond)} tokens/s";
}

