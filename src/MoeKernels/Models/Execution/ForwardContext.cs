using MoeKernels.Cpu;
using MoeKernels.Cuda;

namespace MoeKernels.Models.Execution;

/// <summary>What a layer needs besides its input: threads, scratch memory, the batch's sequences and where to leave
/// traces.</summary>
internal sealed class ForwardContext(WorkerPool pool, Workspace workspace)
{
    private DeviceQueue? _queue;

    public WorkerPool Pool => pool;

    public Workspace Workspace => workspace;

    public ForwardBatch Batch { get; } = new();

    /// <summary>This context's queue of work on a device; it lives as long as the workspace.</summary>
    /// <exception cref="MoeDeviceException">The device failed.</exception>
    public DeviceQueue Queue(CudaDevice device) => _queue ??= workspace.Own(new DeviceQueue(device));

    /// <summary>Null in normal use.</summary>
    public IForwardTrace? Trace { get; set; }

    /// <summary>Checked between layers.</summary>
    public CancellationToken Cancellation { get; set; }
}
