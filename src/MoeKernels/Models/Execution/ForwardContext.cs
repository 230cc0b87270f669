using MoeKernels.Cpu;

namespace MoeKernels.Models.Execution;

/// <summary>What a layer needs besides its input: threads, scratch memory, the batch's sequences and where to leave
/// traces.</summary>
internal sealed class ForwardContext(WorkerPool pool, Workspace workspace)
{
    public WorkerPool Pool => pool;

    public Workspace Workspace => workspace;

    public ForwardBatch Batch { get; } = new();

    /// <summary>Null in normal use.</summary>
    public IForwardTrace? Trace { get; set; }

    /// <summary>Checked between layers.</summary>
    public CancellationToken Cancellation { get; set; }
}
