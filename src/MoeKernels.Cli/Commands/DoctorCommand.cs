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
        var command = new Command("doctor", "Check the processor, its kernels and memory") { model, require };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            List<HealthCheck> checks = [.. Doctor.CheckMachine()];
            if (parsed.GetValue(model) is { } path)
            {
                checks.Add(await CheckModelAsync(path, terminal, cancellation));
            }

            Write(terminal, checks);
            if (parsed.GetValue(require) is "cuda")
            {
                throw new MoeDeviceException("cuda", "this build has no CUDA backend");
            }

            return checks.Exists(check => check.Status == CheckStatus.Fail) ? ExitCodes.CheckFailed : ExitCodes.Done;
        });
        return command;
    }

    /// <summary>The logits after a text must be the same bits whether it is read at once or token by token.</summary>
    private static async Task<HealthCheck> CheckModelAsync(
        string path, Terminal terminal, CancellationToken cancellation)
    {
        using var model = await ModelArguments.LoadAsync(path, terminal, null, 0, cancellation);
        int[] tokens = model.Tokenizer is { } tokenizer
            ? [.. tokenizer.Encode(ProbeText).Ids]
            : [.. Enumerable.Range(0, Math.Min(16, model.Info.Vocabulary))];
        float[] atOnce = new float[model.Info.Vocabulary];
        float[] stepwise = new float[model.Info.Vocabulary];
        using var first = model.CreateSession();
        using var second = model.CreateSession();
        first.Forward(tokens, atOnce, cancellation);
        foreach (int token in tokens)
        {
            second.Forward([token], stepwise, cancellation);
        }

        if (!Array.TrueForAll(atOnce, float.IsFinite))
        {
            return new HealthCheck(CheckStatus.Fail, "model", $"{path}: logits are not finite");
        }

        return atOnce.AsSpan().SequenceEqual(stepwise)
            ? new HealthCheck(CheckStatus.Ok, "model", $"{path}: prefill and decode agree bit by bit")
            : new HealthCheck(CheckStatus.Fail, "model", $"{path}: prefill and decode differ");
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
