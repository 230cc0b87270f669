namespace MoeKernels.Planning;

/// <summary>What running a model takes, computed from config and headers before anything is loaded.</summary>
public sealed record MemoryPlan
{
    /// <summary>Routed experts that are mapped from the files as they are stored.</summary>
    public required long ExpertBytes { get; init; }

    /// <summary>All other weights, mapped.</summary>
    public required long OtherWeightBytes { get; init; }

    /// <summary>Copies the loader makes: small vectors widened to fp32, and fused experts stored inputs first, which
    /// are transposed and then not read from the files again.</summary>
    public required long CopiedBytes { get; init; }

    /// <summary>KV caches and recurrent states of the sessions.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Scratch memory of forward calls.</summary>
    public required long WorkspaceBytes { get; init; }

    /// <summary>The .NET runtime, the library with its tables of rotary positions, and the tokenizer.</summary>
    public required long RuntimeBytes { get; init; }

    /// <summary>Context length of each session.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Sessions planned for.</summary>
    public required int Sessions { get; init; }

    /// <summary>Tokens per prefill call planned for.</summary>
    public required int PrefillChunk { get; init; }

    /// <summary>What goes to a device; null for a model that runs on the CPU. Weights of a model on a device are still
    /// mapped on the host, but read only once.</summary>
    public DevicePlan? OnDevice { get; init; }

    /// <summary>The machine planned for.</summary>
    public required HardwareInfo Hardware { get; init; }

    /// <summary>Weight bytes read per generated token: active experts and everything dense.</summary>
    public required long BytesPerToken { get; init; }

    /// <summary>All of it.</summary>
    public long TotalBytes =>
        ExpertBytes + OtherWeightBytes + CopiedBytes + StateBytes + WorkspaceBytes + RuntimeBytes;

    /// <summary>Whether all of it fits the memory that is available, so that nothing is read from disk twice.</summary>
    public bool Fits => TotalBytes <= Hardware.AvailableMemoryBytes;

    /// <summary>What to change when it does not fit, one sentence each; empty when it fits.</summary>
    public IReadOnlyList<string> Advice
    {
        get
        {
            if (Fits)
            {
                return [];
            }

            long missing = TotalBytes - Hardware.AvailableMemoryBytes;
            List<string> advice = [$"{missing} bytes are missing."];
            if (StateBytes >= missing)
            {
                long context = ContextLength - (long)((Int128)missing * ContextLength / StateBytes) - 1;
                advice.Add($"A context of at most {Math.Max(context, 0)} tokens would fit.");
            }
            else if (TotalBytes - ExpertBytes - OtherWeightBytes <= Hardware.AvailableMemoryBytes)
            {
                advice.Add("The weights stay in the files and are read as needed: it runs, at the disk's speed.");
            }

            return advice;
        }
    }
}
