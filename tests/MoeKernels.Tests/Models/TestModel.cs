using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Loading;
using MoeKernels.Models.Placement;

namespace MoeKernels.Tests.Models;

/// <summary>A loaded model folder with everything a forward call needs.</summary>
internal sealed class TestModel : IDisposable
{
    private const int MostRows = 512;
    private readonly Workspace _workspace;

    private TestModel(Transformer transformer, int threads)
    {
        Transformer = transformer;
        Pool = new WorkerPool(threads);
        Context = Math.Min(256, transformer.Description.MaxContext);
        _workspace = new Workspace(transformer.ScratchFloats(MostRows, Context, Pool.Threads));
        Forwarding = new ForwardContext(Pool, _workspace);
    }

    public Transformer Transformer { get; }

    public WorkerPool Pool { get; }

    public ForwardContext Forwarding { get; }

    /// <summary>Positions a sequence of this test holds.</summary>
    public int Context { get; }

    public static TestModel Load(
        string folder, int threads = 1, bool roundRotaryToBFloat16 = false, DevicePlacement? placement = null) => new(
        ModelLoader.LoadAsync(
            ModelFolder.Open(folder), prefetch: false, roundRotaryToBFloat16: roundRotaryToBFloat16,
            placement: placement).GetAwaiter().GetResult(),
        threads);

    /// <summary>Loads a tiny model of the test data as its reference outputs were made: all but our own Pangu reference
    /// come from models that were cast to bf16 as a whole, rotary frequencies included.</summary>
    /// <param name="name">Folder in the test data.</param>
    /// <param name="threads">Worker threads.</param>
    /// <param name="placement">Puts the model on a device; null for the CPU.</param>
    public static TestModel Reference(string name, int threads = 1, DevicePlacement? placement = null) => Load(
        Golden.Folder(name), threads, !name.StartsWith("pangu", StringComparison.Ordinal), placement);

    public SequenceState NewSequence() => Transformer.CreateSequence(Context);

    /// <summary>Logits of every row of sequences that start empty, all in one call.</summary>
    public float[] Prefill(params int[][] sequences)
    {
        SequenceState[] states = Array.ConvertAll(sequences, _ => NewSequence());
        try
        {
            return Forward(states, sequences);
        }
        finally
        {
            Array.ForEach(states, state => state.Dispose());
        }
    }

    /// <summary>Logits of every row of the next tokens of each sequence.</summary>
    public float[] Forward(SequenceState[] states, int[][] tokens, LogitRows rows = LogitRows.All)
    {
        Forwarding.Batch.Clear();
        for (int i = 0; i < states.Length; i++)
            Forwarding.Batch.Add(states[i], tokens[i].Length);

        var logits = new float[Transformer.LogitCount(Forwarding.Batch, rows)];
        Transformer.Forward(Forwarding, tokens.SelectMany(t => t).ToArray(), rows, logits);
        return logits;
    }

    /// <summary>Encodes each sequence's source; its decoder starts empty.</summary>
    public void Encode(SequenceState[] states, int[][] tokens, int[][] masks)
    {
        Forwarding.Batch.Clear();
        for (int i = 0; i < states.Length; i++)
            Forwarding.Batch.AddSource(states[i], new SourceMask(masks[i]));

        Transformer.Encode(Forwarding, tokens.SelectMany(t => t).ToArray());
    }

    /// <summary>Logits of every row when the tokens come in chunks of the given sizes, the last repeated.</summary>
    public float[] Chunked(int[] tokens, params int[] sizes)
    {
        using SequenceState state = NewSequence();
        var logits = new List<float>();
        for (int start = 0, chunk = 0; start < tokens.Length; chunk++)
        {
            int size = Math.Min(sizes[Math.Min(chunk, sizes.Length - 1)], tokens.Length - start);
            logits.AddRange(Forward([state], [tokens[start..(start + size)]]));
            start += size;
        }

        return [.. logits];
    }

    /// <summary>The prompt and its greedy continuation up to <paramref name="length"/> tokens.</summary>
    public int[] Greedy(int[] prompt, int length)
    {
        using SequenceState state = NewSequence();
        var tokens = prompt.ToList();
        float[] logits = Forward([state], [prompt], LogitRows.Last);
        while (tokens.Count < length)
        {
            tokens.Add(Array.IndexOf(logits, logits.Max()));
            logits = Forward([state], [[tokens[^1]]], LogitRows.Last);
        }

        return [.. tokens];
    }

    public void Dispose()
    {
        _workspace.Dispose();
        Pool.Dispose();
        Transformer.Dispose();
    }
}
