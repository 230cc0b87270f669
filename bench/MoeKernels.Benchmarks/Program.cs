using System.Runtime.CompilerServices;
using BenchmarkDotNet.Running;
using MoeKernels.Benchmarks;

// `ratio` prints the interleaved comparison with a plain read; everything else goes to BenchmarkDotNet, whose tables
// and JSON land in bench/results.
if (args is ["ratio"])
{
    Interleaved.Run(Console.Out);
    return;
}

string[] arguments = args.Length == 0 ? ["--filter", "*"] : args;
BenchmarkSwitcher.FromAssembly(typeof(BenchConfig).Assembly).Run(arguments, new BenchConfig(Results()));

static string Results([CallerFilePath] string source = "") =>
    Path.GetFullPath(Path.Combine(Path.GetDirectoryName(source)!, "..", "results"));
