using MoeKernels.Benchmarks;
using MoeKernels.Benchmarks.Models;
using MoeKernels.Benchmarks.Quality;
using MoeKernels.Benchmarks.Reporting;

if (args is [WholeModelChild.Verb, ..])
    return WholeModelChild.Run(args);
if (args is [QualityRun.Verb, ..])
    return QualityRun.Start(args);

if (BenchmarkOptions.Parse(args) is not { } options)
{
    Console.Error.WriteLine(BenchmarkOptions.Usage);
    return 2;
}

Machine machine = Machine.Detect(args);
BenchmarkRun run = new(options.Quick);
Interleaved.ProcessorTime = options.ProcessorTime;
foreach (Suite suite in options.Suites)
{
    Console.WriteLine($"== {suite.Name}: {suite.Summary}");
    suite.Run(run, options);
}

if (options.Output is { } folder)
{
    ResultFiles.Write(folder, machine, run.Results, run.Notes);
    Console.WriteLine($"Written to {folder}.");
}

return 0;
