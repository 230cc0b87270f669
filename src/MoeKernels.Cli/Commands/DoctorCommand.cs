using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe doctor</c>: checks the machine, and with <c>--model</c> a model on it.</summary>
internal static class DoctorCommand
{
    private const string Schema = "moe.doctor/1";
    private const string ProbeText = "The quick brown fox jumps over the lazy dog.";

    public static Command Create()
    {
        var model = new Option<string?>("--model")
        {
            Description = "Also load this model and compare prefill with decode",
        };
        var require = new Option<string?>("--require")
        {
            Description = "Fail unless this device is there: cpu or cuda",
        };
        require.AcceptOnlyFromAmong("cpu", "cuda");
        var command = new Command("doctor", "Check the processor, its kernels and memory") { model, require };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            List<HealthCheck> checks = [.. Doctor.CheckMachine()];
            if (parsed.GetValue(model) is { } path)
            {
                checks.Add(await CheckModelAsync(parsed, path, terminal, cancellation));
            }

            Write(terminal, checks);
            if (parsed.GetValue(require) is "cuda"
                && checks.Find(check => check.Name == "cuda") is { Status: not CheckStatus.Ok } missing)
            {
                throw new MoeDeviceException("cuda", missing.Detail);
            }

            return checks.Exists(check => check.Status == CheckStatus.Fail) ? ExitCodes.CheckFailed : ExitCodes.Done;
        });
        return command;
    }

    private static async Task<HealthCheck> CheckModelAsync(
        ParseResult parsed, string path, Terminal terminal, CancellationToken cancellation)
    {
        using var model = await ModelArguments.LoadAsync(parsed, path, terminal, null, null, cancellation);
        IEnumerable<int> text = model.Tokenizer?.Encode(ProbeText).Ids
            ?? Enumerable.Range(0, Math.Min(16, model.Info.Vocabulary));
        int[] tokens = [.. text.Take(model.Info.MaxContext)];
        try
        {
            string? problem = model.Info.IsEncoderDecoder
                ? CheckAnswer(model, tokens, cancellation)
                : ComparePhases(model, tokens, cancellation);
            string success = model.Info.IsEncoderDecoder
                ? "reads a text and starts an answer"
                : "prefill and decode agree bit by bit";
            var status = problem is null ? CheckStatus.Ok : CheckStatus.Fail;
            return new HealthCheck(status, "model", $"{path}: {problem ?? success}");
        }
        catch (MoeNonFiniteException exception)
        {
            return new HealthCheck(CheckStatus.Fail, "model", $"{path}: {exception.Message}");
        }
    }

    /// <summary>The logits after a text must be the same bits whether it is read at once or token by token.</summary>
    private static string? ComparePhases(MoeModel model, int[] tokens, CancellationToken cancellation)
    {
        float[] atOnce = new float[model.Info.Vocabulary];
        float[] stepwise = new float[model.Info.Vocabulary];
        using var first = model.CreateSession();
        using var second = model.CreateSession();
        first.Forward(tokens, atOnce, cancellation);
        foreach (int token in tokens)
        {
            second.Forward([token], stepwise, cancellation);
        }

        return !Array.TrueForAll(atOnce, float.IsFinite) ? "logits are not finite"
            : atOnce.AsSpan().SequenceEqual(stepwise) ? null
            : "prefill and decode differ";
    }

    /// <summary>Encoder-decoders have routers that may drop tokens of a larger call: their phases may differ.</summary>
    private static string? CheckAnswer(MoeModel model, int[] source, CancellationToken cancellation)
    {
        float[] logits = new float[model.Info.Vocabulary];
        using var session = model.CreateSession();
        session.Encode(source, cancellation);
        session.Forward([0], logits, cancellation);
        return Array.TrueForAll(logits, float.IsFinite) ? null : "logits are not finite";
    }

    private static void Write(Terminal terminal, List<HealthCheck> checks)
    {
        if (terminal.Json)
        {
            terminal.WriteJson(json =>
            {
                json.WriteString("schema", Schema);
                json.WriteStartArray("checks");
                foreach (var check in checks)
                {
                    json.WriteStartObject();
                    json.WriteString("status", Name(check.Status));
                    json.WriteString("name", check.Name);
                    json.WriteString("detail", check.Detail);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            });
            return;
        }

        foreach (var check in checks)
        {
            terminal.WriteLine($"{Name(check.Status),-5} {check.Name,-10} {check.Detail}");
        }
    }

    private static string Name(CheckStatus status) => status switch
    {
        CheckStatus.Ok => "ok",
        CheckStatus.Note => "note",
        _ => "FAIL",
    };
}
