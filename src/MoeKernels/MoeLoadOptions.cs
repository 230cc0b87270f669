namespace MoeKernels;

/// <summary>How a model is loaded.</summary>
public sealed record MoeLoadOptions
{
    /// <summary>Context of sessions that do not ask for one; null: what the model allows, at most 4096.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Worker threads; 0: the environment variable MOEK_THREADS, else all processors.</summary>
    public int Threads { get; init; }

    /// <summary>Whether all weights are read before loading returns. Otherwise the operating system reads them when they
    /// are first used: loading is instant and the first tokens are slow.</summary>
    public bool ReadAhead { get; init; } = true;
}
