namespace MoeKernels.Models.Execution;

/// <summary>A stack of blocks and its last norm, on the host or on a device.</summary>
internal unsafe interface IStack
{
    /// <summary>Runs every block on <paramref name="residual"/> in place, then the last norm.</summary>
    /// <param name="context">The batch and its scratch memory.</param>
    /// <param name="residual">Embedded tokens on entry, normalised output on return, [rows × hidden], in host
    /// memory.</param>
    /// <exception cref="OperationCanceledException">Cancelled between two layers; no sequence has advanced.</exception>
    void Forward(ForwardContext context, float* residual);
}
