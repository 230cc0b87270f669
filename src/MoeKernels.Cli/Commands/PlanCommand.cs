using System.CommandLine;
using MoeKernels.Cli.Output;
using MoeKernels.Compression;
using MoeKernels.Planning;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe plan [model]</c>: memory a model takes before loading it, or with <c>--compress</c> time and memory
/// of compressing it.</summary>
internal static class PlanCommand
{
    private const string Schema = "moe.plan/1";

    public static Command Create()
    {
        var model = ModelArguments.OptionalModel();
        var context = ModelArguments.Context();
        var sessions = NumberOptions.Integer("--batch", "Sessions side by side; default: 1", 1, 100_000);
        var memory = new Option<string?>("--for")
        {
            Description = "Memory of a machine that is not this one, for example 8GiB",
        };
        var compress = new Option<bool>("--compress")
        {
            Description = "Predict what compress takes with the same options; tries the machine out for some seconds",
        };
        var command = new Command("plan", "Predict memory before loading, or what compress takes")
        {
            model, context, sessions, memory, compress,
        };
        var arguments = new CompressArguments();
        arguments.AddTo(command);
        command.Validators.Add(result => Check(
            result.GetValue(compress),
            result.GetResult(context) is { Implicit: false } || result.GetResult(sessions) is { Implicit: false },
            arguments.FirstGiven(result), result.AddError));
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            if (parsed.GetValue(compress))
            {
                CompressPlan coming = await Compressor.PlanAsync(
                    parsed.GetValue(model)!, await arguments.ReadAsync(parsed, cancellation), cancellation);
                coming = coming with { Hardware = Machine(parsed.GetValue(memory)) ?? coming.Hardware };
                CompressPlanOutput.Write(terminal, coming);
                return coming.Fits ? ExitCodes.Done : ExitCodes.DoesNotFit;
            }

            var options = new MoeLoadOptions
            {
                ContextLength = parsed.GetValue(context),
                Device = CommonOptions.DeviceOf(parsed),
            };
            var plan = MoeModel.Plan(
                parsed.GetValue(model)!, options, Machine(parsed.GetValue(memory)), parsed.GetValue(sessions) ?? 1);
            if (terminal.Json)
            {
                WriteJson(terminal, plan);
            }
            else
            {
                WriteText(terminal, plan);
            }

            return plan.Fits ? ExitCodes.Done : ExitCodes.DoesNotFit;
        });
        return command;
    }

    /// <summary>Options of one kind of plan say nothing about the other.</summary>
    private static void Check(bool compress, bool running, string? compressing, Action<string> addError)
    {
        if (compress && running)
            addError("--ctx and --batch are about running a model; leave them out with --compress.");
        if (!compress && compressing is not null)
            addError($"{compressing} is about compressing; give --compress too.");
    }

    private static HardwareInfo? Machine(string? memory)
    {
        if (memory is null)
        {
            return null;
        }

        return Units.TryParseBytes(memory, out long bytes)
            ? HardwareInfo.Detect() with { TotalMemoryBytes = bytes, AvailableMemoryBytes = bytes }
            : throw new UsageException($"'{memory}' is no size; write for example 8GiB.");
    }

    private static void WriteText(Terminal terminal, MemoryPlan plan)
    {
        var table = new TextTable("memory", "size");
        table.Add("experts", Units.Bytes(plan.ExpertBytes));
        table.Add("other weights", Units.Bytes(plan.OtherWeightBytes));
        table.Add("copies", Units.Bytes(plan.CopiedBytes));
        table.Add($"caches, {plan.Sessions} x {plan.ContextLength} tokens", Units.Bytes(plan.StateBytes));
        table.Add("workspace", Units.Bytes(plan.WorkspaceBytes));
        table.Add("runtime", Units.Bytes(plan.RuntimeBytes));
        table.Add("total", Units.Bytes(plan.TotalBytes));
        terminal.Write(table.ToString());
        terminal.WriteLine(
            $"{(plan.Fits ? "fits" : "does not fit")} the {Units.Bytes(plan.Hardware.AvailableMemoryBytes)} available; "
            + $"{Units.Bytes(plan.BytesPerToken)} of weights read per token");
        if (plan.OnDevice is { } device)
        {
            string host = device.HostSteps.Count == 0 ? "nothing" : string.Join(", ", device.HostSteps);
            terminal.WriteLine(
                $"on {device.Device}: {Units.Bytes(device.WeightBytes)} of weights, "
                + $"{Units.Bytes(device.StateBytes)} of caches; on the CPU: {host}");
        }

        foreach (string advice in plan.Advice)
        {
            terminal.WriteLine(advice);
        }
    }

    private static void WriteJson(Terminal terminal, MemoryPlan plan) => terminal.WriteJson(json =>
    {
        json.WriteString("schema", Schema);
        json.WriteNumber("expert_bytes", plan.ExpertBytes);
        json.WriteNumber("other_weight_bytes", plan.OtherWeightBytes);
        json.WriteNumber("copied_bytes", plan.CopiedBytes);
        json.WriteNumber("state_bytes", plan.StateBytes);
        json.WriteNumber("workspace_bytes", plan.WorkspaceBytes);
        json.WriteNumber("runtime_bytes", plan.RuntimeBytes);
        json.WriteNumber("total_bytes", plan.TotalBytes);
        json.WriteNumber("context", plan.ContextLength);
        json.WriteNumber("sessions", plan.Sessions);
        json.WriteNumber("bytes_per_token", plan.BytesPerToken);
        json.WriteNumber("available_bytes", plan.Hardware.AvailableMemoryBytes);
        json.WriteBoolean("fits", plan.Fits);
        if (plan.OnDevice is { } device)
        {
            json.WriteStartObject("on_device");
            json.WriteString("device", device.Device);
            json.WriteNumber("weight_bytes", device.WeightBytes);
            json.WriteNumber("state_bytes", device.StateBytes);
            json.WriteStartArray("host_steps");
            foreach (string step in device.HostSteps)
                json.WriteStringValue(step);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteStartArray("advice");
        foreach (string advice in plan.Advice)
        {
            json.WriteStringValue(advice);
        }

        json.WriteEndArray();
    });
}
