using System.Globalization;
using MoeKernels.Benchmarks.Peers;
using MoeKernels.Benchmarks.Reporting;
using MoeKernels.Generation;

namespace MoeKernels.Benchmarks.Models;

/// <summary>A compressed model beside its own bf16 self and beside llama.cpp's Q4_K_M of the same shapes, in turn in
/// one process; and what the whole model of 48 layers would take.</summary>
internal sealed class CompressedComparison(BenchmarkRun run, BenchmarkOptions options)
{
    public const string Name = "compressed";

    private const int WholeLayers = 48;
    private const int ContextLength = 640;
    private const int PromptTokens = 512;

    private readonly int _layers = options.Quick ? 1 : 4;
    private readonly int _vocabulary = options.Quick ? 8192 : 151_936;
    private readonly int[] _tokens = [.. Enumerable.Range(0, PromptTokens).Select(i => i * 7919 % 8192)];

    private int DecodeTokens => options.Quick ? 4 : 24;

    private string Case => string.Create(CultureInfo.InvariantCulture, $"Qwen3-30B-A3B shapes, {_layers} layers");

    public void Run()
    {
        string dense = new GeneratedModel(_layers, _vocabulary).Write(options.ModelParent);
        string compressed = new CompressedModel(_layers, _vocabulary).Write(options.ModelParent);
        string? peer = LlamaModel.IsAvailable ? new GgufModel(_layers, _vocabulary).Write(options.ModelParent) : null;
        try
        {
            if (peer is null)
                run.Note("The package LLamaSharp.Backend.Cpu has no build of llama.cpp for this platform.");
            Console.WriteLine($"{dense}, {compressed}, {peer}");
            foreach (int threads in run.ThreadCounts)
            {
                foreach (Result result in WholeModelBenchmark.RunChild(compressed, threads, options.Quick))
                    run.Add(result);
                Compare(dense, compressed, peer, threads);
            }
        }
        finally
        {
            if (!options.KeepModel)
            {
                Directory.Delete(dense, recursive: true);
                Directory.Delete(compressed, recursive: true);
                if (peer is not null)
                    File.Delete(peer);
            }
        }
    }

    private void Compare(string dense, string compressed, string? peer, int threads)
    {
        var load = new MoeLoadOptions { ContextLength = ContextLength, Threads = threads };
        using MoeModel denseModel = MoeModel.LoadAsync(dense, load).GetAwaiter().GetResult();
        using MoeModel compressedModel = MoeModel.LoadAsync(compressed, load).GetAwaiter().GetResult();
        using MoeSession denseSession = denseModel.CreateSession(), session = compressedModel.CreateSession();
        using LlamaModel? llama = peer is null ? null : new LlamaModel(peer, ContextLength, threads);
        float[] logits = new float[_vocabulary];

        int rounds = options.Quick ? 1 : 7;
        var prefill = Interleaved.Measure(
            Math.Max(rounds / 2, 1), threads,
            () => Prefill(denseSession, logits),
            () => Prefill(session, logits),
            () => llama?.Prefill(_tokens));
        AddSpeeds("prefill", threads, PromptTokens, prefill, llama is not null, null, null);
        var decode = Interleaved.Measure(
            rounds, threads,
            () => Decode(denseSession, logits),
            () => Decode(session, logits),
            () => Decode(llama));
        AddSpeeds(
            "decode", threads, DecodeTokens, decode, llama is not null, Target.AtLeast(5), Target.AtLeast(2));
        AddWholeModel(compressed, threads, decode[1].Seconds / DecodeTokens, load);
    }

    private void AddSpeeds(
        string phase, int threads, int tokens, (double Seconds, double Ratio)[] times, bool hasPeer, Target? overDense,
        Target? overPeer)
    {
        Add(threads, $"{phase}, bf16", tokens / times[0].Seconds, "tokens/s");
        Add(threads, $"{phase}, compressed", tokens / times[1].Seconds, "tokens/s");
        Add(threads, $"{phase}, compressed / bf16", times[1].Ratio, string.Empty, overDense);
        if (!hasPeer)
            return;
        Add(threads, $"{phase}, llama.cpp Q4_K_M", tokens / times[2].Seconds, "tokens/s");
        Add(
            threads, $"{phase}, compressed / llama.cpp Q4_K_M", times[2].Seconds / times[1].Seconds, string.Empty,
            overPeer);
    }

    /// <summary>The plan of all layers, at the rate at which decode reads weights here.</summary>
    private void AddWholeModel(string compressed, int threads, double secondsPerToken, MoeLoadOptions load)
    {
        double bytesPerSecond = MoeModel.Plan(compressed, load).BytesPerToken / secondsPerToken;
        string whole = new CompressedModel(WholeLayers, _vocabulary, HasContent: false).Write(options.ModelParent);
        var plan = MoeModel.Plan(whole, load);
        Directory.Delete(whole, recursive: true);
        string name = string.Create(
            CultureInfo.InvariantCulture, $"Qwen3-30B-A3B shapes, {WholeLayers} layers, planned");
        Add(threads, "weights read in decode, compressed", bytesPerSecond / 1e9, "GB/s");
        run.Add(Name, name, threads, "memory", plan.TotalBytes / 1e9, "GB", Target.AtMost(5));
        run.Add(
            Name, name, threads, "decode", bytesPerSecond / plan.BytesPerToken, "tokens/s",
            threads == 2 ? Target.AtLeast(25) : null);
    }

    private void Prefill(MoeSession session, float[] logits)
    {
        session.RewindTo(0);
        session.Forward(_tokens, logits);
    }

    /// <summary>Tokens behind the prompt that differ, so that experts differ.</summary>
    private void Decode(MoeSession session, float[] logits)
    {
        session.RewindTo(PromptTokens);
        for (int i = 0; i < DecodeTokens; i++)
            session.Forward(Token(i), logits);
    }

    private void Decode(LlamaModel? llama)
    {
        llama?.RewindTo(PromptTokens);
        for (int i = 0; i < DecodeTokens; i++)
            llama?.Run(Token(i));
    }

    private ReadOnlySpan<int> Token(int i) => _tokens.AsSpan((i + 1) * 7 % PromptTokens, 1);

    private void Add(int threads, string measure, double value, string unit, Target? target = null) =>
        run.Add(Name, Case, threads, measure, value, unit, target);
}
