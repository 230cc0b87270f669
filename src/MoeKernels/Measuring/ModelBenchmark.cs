using System.Diagnostics;
using MoeKernels.Generation;
using MoeKernels.Planning;

namespace MoeKernels.Measuring;

/// <summary>Loads a model, runs it once for the memory and as warm-up, then times rounds of plain read, prefill and
/// decode.</summary>
internal sealed class ModelBenchmark(
    string path, ModelBenchmarkOptions options, IProgress<BenchmarkProgress>? progress, CancellationToken cancellation)
{
    private static readonly int[] DefaultLengths = [32, 128, 512];

    public async Task<ModelBenchmarkResult> RunAsync()
    {
        int[] lengths = Lengths(MoeModel.Inspect(path));
        var load = new MoeLoadOptions
        {
            ContextLength = lengths.Max() + options.DecodeTokens, Threads = options.Threads,
        };
        var plan = MoeModel.Plan(path, load);
        progress?.Report(new BenchmarkProgress("loading", 0, 1));
        long start = Stopwatch.GetTimestamp();
        using var model = await MoeModel.LoadAsync(path, load, null, cancellation).ConfigureAwait(false);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return await Task.Run(() => Run(model, plan, seconds, lengths), cancellation).ConfigureAwait(false);
    }

    /// <summary>The lengths to measure: the caller's, which must fit, or the usual ones as far as they fit.</summary>
    private int[] Lengths(ModelInfo info)
    {
        int room = info.MaxContext - options.DecodeTokens;
        int[] wanted = [.. options.PromptTokens ?? DefaultLengths.Where(length => length <= room).DefaultIfEmpty(room)];
        return wanted.Length > 0 && Array.TrueForAll(wanted, length => length >= 1 && length <= room)
            ? wanted
            : throw new ArgumentException(
                $"Prompts of {string.Join(", ", wanted)} tokens and {options.DecodeTokens} decoded ones do not fit the "
                + $"context of {info.MaxContext}.");
    }

    private ModelBenchmarkResult Run(MoeModel model, MemoryPlan plan, double loadSeconds, int[] lengths)
    {
        using var session = model.CreateSession();
        var runner = new Runner(session, model.Info, options.DecodeTokens, cancellation);
        runner.Prefill(lengths.Max());
        runner.Decode(lengths.Max());
        long peak = ProcessMemory.PeakResidentBytes();

        // Mapped a second time: only now, for the peak above would count the pages twice.
        using var weights = MappedFiles.TryOpen(model.Info.Files, model.Backend.Threads);
        List<LengthResult> results = [];
        List<double> reads = [];
        double warmUp = 0;
        foreach (int length in lengths)
        {
            progress?.Report(new BenchmarkProgress($"warming up with {length} tokens", 0, 1));
            warmUp += WarmUp.Run(
                () =>
                {
                    runner.Prefill(length);
                    runner.Decode(length);
                },
                options.MaxWarmUpSeconds,
                cancellation).Seconds;
            results.Add(Measure(runner, weights, length, model.Backend.Threads, reads));
        }

        return new ModelBenchmarkResult
        {
            Model = model.Info,
            Backend = model.Backend,
            Processor = ProcessorInfo.Name,
            Plan = plan,
            PeakResidentBytes = peak,
            LoadSeconds = loadSeconds,
            PlainReadBytesPerSecond = weights is null ? null : weights.Bytes / reads.Min(),
            Lengths = results,
            DecodeTokens = options.DecodeTokens,
            Rounds = options.Rounds,
            WarmUpSeconds = warmUp,
        };
    }

    private LengthResult Measure(Runner runner, MappedFiles? weights, int length, int threads, List<double> reads)
    {
        // Virtual machines may serve the first touch after some seconds slowly: the second of the two reads counts.
        var times = Interleaved.Measure(
            options.Rounds, warmUp: 0, threads,
            round =>
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Report(new BenchmarkProgress($"prompt of {length} tokens", round, options.Rounds));
            },
            () => weights?.Read(),
            () => weights?.Read(),
            () => runner.Prefill(length),
            () => runner.Decode(length));
        reads.Add(times[1].Seconds);
        double prefill = times[2].Seconds;
        return new LengthResult(length, length / prefill, prefill, options.DecodeTokens / times[3].Seconds);
    }

    /// <summary>Feeds a session with tokens that differ, so that experts differ and no weight is still in a
    /// cache.</summary>
    private sealed class Runner(
        MoeSession session, ModelInfo info, int decodeTokens, CancellationToken cancellation)
    {
        private readonly float[] _logits = new float[info.Vocabulary];
        private readonly int[] _tokens = RandomTokens(session.ContextLength, info.Vocabulary);

        /// <summary>Reads a prompt, or the source of an encoder-decoder.</summary>
        public void Prefill(int length)
        {
            var prompt = _tokens.AsSpan(0, length);
            if (info.IsEncoderDecoder)
            {
                session.Encode(prompt, cancellation);
                return;
            }

            session.RewindTo(0, cancellation);
            session.Forward(prompt, _logits, cancellation);
        }

        /// <summary>Computes tokens one by one behind the prompt that was read before.</summary>
        public void Decode(int length)
        {
            for (int i = 0; i < decodeTokens; i++)
            {
                session.Forward(_tokens.AsSpan((length + i) % _tokens.Length, 1), _logits, cancellation);
            }
        }

        private static int[] RandomTokens(int count, int vocabulary)
        {
            var random = new Random(1);
            return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
        }
    }
}
