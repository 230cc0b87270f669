using MoeKernels.Cli.Output;
using MoeKernels.Compression;

namespace MoeKernels.Cli.Commands;

/// <summary>What <c>moe plan --compress</c> writes.</summary>
internal static class CompressPlanOutput
{
    private const string Schema = "moe.plan-compress/1";

    public static void Write(Terminal terminal, CompressPlan plan)
    {
        if (terminal.Json)
            WriteJson(terminal, plan);
        else
            WriteText(terminal, plan);
    }

    private static void WriteText(Terminal terminal, CompressPlan plan)
    {
        var table = new TextTable("stage", "seconds", "memory");
        table.Add("measuring", Seconds(plan.AllocationSeconds), Memory(plan.MeasuringBytes));
        table.Add("coding", Seconds(plan.QuantizingSeconds), Memory(plan.CodingBytes));
        table.Add("evaluating", Seconds(plan.EvaluationSeconds), Memory(plan.EvaluatingBytes));
        table.Add("other methods", Seconds(plan.ComparisonSeconds), "-");
        table.Add("reading and writing", Seconds(plan.OtherSeconds), "-");
        table.Add("in all", Seconds(plan.TotalSeconds), Units.Bytes(plan.PeakBytes));
        terminal.Write(table.ToString());
        terminal.WriteLine(
            $"{plan.CalibrationTokens} calibration tokens on {plan.Threads} threads, "
            + $"{Units.Bytes(plan.OutputBytes)} to write; speeds tried out for {Units.Fixed(plan.TrialSeconds, 1)} s");
        terminal.WriteLine(
            $"{Units.Bytes(plan.NeededBytes)} without pages of files, which "
            + $"{(plan.Fits ? "fits" : "does not fit")} the {Units.Bytes(plan.Hardware.AvailableMemoryBytes)} "
            + "available");
    }

    private static string Seconds(double seconds) => seconds == 0 ? "-" : Units.Fixed(seconds, 1);

    private static string Memory(long bytes) => bytes == 0 ? "-" : Units.Bytes(bytes);

    private static void WriteJson(Terminal terminal, CompressPlan plan) => terminal.WriteJson(json =>
    {
        json.WriteString("schema", Schema);
        json.WriteNumber("allocation_seconds", plan.AllocationSeconds);
        json.WriteNumber("quantizing_seconds", plan.QuantizingSeconds);
        json.WriteNumber("evaluation_seconds", plan.EvaluationSeconds);
        json.WriteNumber("comparison_seconds", plan.ComparisonSeconds);
        json.WriteNumber("other_seconds", plan.OtherSeconds);
        json.WriteNumber("total_seconds", plan.TotalSeconds);
        json.WriteNumber("measuring_bytes", plan.MeasuringBytes);
        json.WriteNumber("coding_bytes", plan.CodingBytes);
        json.WriteNumber("evaluating_bytes", plan.EvaluatingBytes);
        json.WriteNumber("peak_bytes", plan.PeakBytes);
        json.WriteNumber("needed_bytes", plan.NeededBytes);
        json.WriteNumber("output_bytes", plan.OutputBytes);
        json.WriteNumber("calibration_tokens", plan.CalibrationTokens);
        json.WriteNumber("threads", plan.Threads);
        json.WriteNumber("trial_seconds", plan.TrialSeconds);
        json.WriteNumber("available_bytes", plan.Hardware.AvailableMemoryBytes);
        json.WriteBoolean("fits", plan.Fits);
    });
}
