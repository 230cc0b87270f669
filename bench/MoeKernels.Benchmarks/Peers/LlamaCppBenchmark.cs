using MoeKernels.Benchmarks.Reporting;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>Our experts beside llama.cpp's mixture-of-experts product, same weights, tokens and routing, in
/// turn.</summary>
internal static unsafe class LlamaCppBenchmark
{
    public const string Name = "llama";

    private const int TokensPerExpert = 32;

    /// <summary>llama.cpp rounds the tokens to bf16 (8 bits): each product is off by up to 2^-9, sums much
    /// less.</summary>
    private const double Tolerance = 1e-2;

    public static void Run(BenchmarkRun run)
    {
        if (!Ggml.IsAvailable)
        {
            run.Note("The package LLamaSharp.Backend.Cpu has no build of llama.cpp for this platform.");
            return;
        }

        run.Note($"llama.cpp: {Ggml.Description}, its operation GGML_OP_MUL_MAT_ID called through its C interface.");
        using ExpertProblem problem = new(TokensPerExpert, even: false);
        foreach (int threads in run.ThreadCounts)
        {
            using OwnExperts own = new(problem, threads);
            using GgmlExperts peer = new(problem, threads);
            Compare(own, peer);
            int rounds = run.Quick ? 3 : 11;
            Report(
                run, threads, "up 2048→768", problem.ProjectionFlops,
                Interleaved.Measure(rounds, threads, peer.Up, own.Up));
            Report(
                run, threads, "down 768→2048", problem.ProjectionFlops,
                Interleaved.Measure(rounds, threads, peer.Down, own.Down));
            Report(
                run, threads, "gate, up, silu, down", 3 * problem.ProjectionFlops,
                Interleaved.Measure(rounds, threads, peer.All, own.All));
        }
    }

    private static void Report(
        BenchmarkRun run, int threads, string what, double flops, (double Seconds, double Ratio)[] times)
    {
        string name = $"128 experts, top 8, 512 tokens, {what}";
        run.Add(Name, name, threads, "llama.cpp", flops / times[0].Seconds / 1e9, "GFLOP/s");
        run.Add(Name, name, threads, "MoeKernels", flops / times[1].Seconds / 1e9, "GFLOP/s");
        run.Add(Name, name, threads, "MoeKernels / llama.cpp", times[1].Ratio, string.Empty, Target.AtLeast(1.3));
    }

    private static void Compare(OwnExperts own, GgmlExperts peer)
    {
        own.Up();
        peer.Up();
        Check("up", own.DifferenceOfUp(peer.UpResult));
        own.All();
        peer.All();
        Check("the whole network", own.DifferenceOfAll(peer.AllResult));
    }

    private static void Check(string what, double difference)
    {
        if (!(difference < Tolerance))
            throw new InvalidOperationException($"llama.cpp and MoeKernels differ by {difference:G3} in {what}.");
    }
}
