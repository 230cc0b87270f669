using LLama;
using LLama.Common;
using LLama.Native;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>A model that llama.cpp runs, through LLamaSharp and its CPU backend.</summary>
internal sealed class LlamaModel : IDisposable
{
    private readonly LLamaWeights _weights;
    private readonly LLamaContext _context;
    private readonly LLamaBatch _batch = new();
    private int _position;

    /// <summary>Loads a file.</summary>
    /// <param name="path">GGUF file.</param>
    /// <param name="contextLength">Most tokens.</param>
    /// <param name="threads">Threads.</param>
    public LlamaModel(string path, int contextLength, int threads)
    {
        UseLibrary();
        var parameters = new ModelParams(path)
        {
            ContextSize = (uint)contextLength,
            BatchSize = (uint)contextLength,
            UBatchSize = (uint)contextLength,
            Threads = threads,
            BatchThreads = threads,
            GpuLayerCount = 0,
        };
        _weights = LLamaWeights.LoadFromFile(parameters);
        _context = _weights.CreateContext(parameters);
    }

    /// <summary>Whether the package has files for this platform.</summary>
    public static bool IsAvailable => File.Exists(Ggml.PathOf("llama"));

    /// <summary>Starts again with a prompt; returns the last token's logits.</summary>
    public ReadOnlySpan<float> Prefill(ReadOnlySpan<int> tokens)
    {
        _context.NativeHandle.MemoryClear();
        _position = 0;
        return Run(tokens);
    }

    /// <summary>Forgets what is behind a position.</summary>
    public void RewindTo(int position)
    {
        _context.NativeHandle.MemorySequenceRemove(LLamaSeqId.Zero, position, -1);
        _position = position;
    }

    /// <summary>Computes tokens behind those before; returns the last one's logits.</summary>
    public ReadOnlySpan<float> Run(ReadOnlySpan<int> tokens)
    {
        _batch.Clear();
        for (int i = 0; i < tokens.Length; i++)
            _batch.Add(tokens[i], _position++, LLamaSeqId.Zero, i == tokens.Length - 1);
        DecodeResult result = _context.Decode(_batch);
        return result == DecodeResult.Ok
            ? _context.NativeHandle.GetLogitsIth(tokens.Length - 1)
            : throw new InvalidOperationException($"llama.cpp: {result}.");
    }

    public void Dispose()
    {
        _context.Dispose();
        _weights.Dispose();
    }

    private static void UseLibrary()
    {
        if (NativeLibraryConfig.LLama.LibraryHasLoaded)
            return;
        NativeLibraryConfig.All.WithLibrary(Ggml.PathOf("llama"), Ggml.PathOf("mtmd")).WithLogCallback(
            (level, message) =>
            {
                if (level == LLamaLogLevel.Error)
                    Console.Error.Write(message);
            });
    }
}
