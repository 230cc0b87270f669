using System.CommandLine;
using MoeKernels.Cli.Commands;
using MoeKernels.Cli.Output;

Console.OutputEncoding = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
var root = new RootCommand("Run, compress and measure Mixture-of-Experts models.")
{
    CommonOptions.Device,
    CommonOptions.Json,
    CommonOptions.Quiet,
    GenerateCommand.Create(),
    ChatCommand.Create(),
    InspectCommand.Create(),
    PlanCommand.Create(),
    DoctorCommand.Create(),
    EvalCommand.Create(),
    TokenizeCommand.Create(),
    LogitsCommand.Create(),
};
root.SetAction(_ =>
{
    Console.Error.WriteLine("moe: say what to do, for example moe generate -p \"Once upon a time\"; --help lists all");
    return ExitCodes.Usage;
});
var parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors)
    {
        Console.Error.WriteLine($"moe: {error.Message}");
    }

    return ExitCodes.Usage;
}

return await parsed.InvokeAsync();
