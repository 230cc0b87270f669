using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;

namespace MoeKernels.Compression;

/// <summary>The same windows for every stack of a model, in the order of the computation.</summary>
/// <param name="model">The model.</param>
/// <param name="windows">Text; an encoder-decoder writes again what it has read.</param>
/// <param name="pool">Threads; stays the caller's.</param>
/// <param name="cancellation">Checked before every call.</param>
internal sealed class StackRunners(
    ModelDescription model, CalibrationWindows windows, WorkerPool pool, CancellationToken cancellation) : IDisposable
{
    /// <summary>Each stack and its windows.</summary>
    public IReadOnlyList<(StackSpec Spec, WindowRunner Runner)> Stacks { get; } =
        [.. model.Stacks.Select(spec => (spec, Of(model, spec, windows, pool, cancellation)))];

    /// <summary>Tokens of a stack's windows.</summary>
    public int Rows => windows.Tokens.Length;

    /// <summary>Threads.</summary>
    public WorkerPool Pool => pool;

    /// <summary>The windows of one stack.</summary>
    public static WindowRunner Of(
        ModelDescription model, StackSpec spec, CalibrationWindows windows, WorkerPool pool,
        CancellationToken cancellation)
    {
        bool isEncoder = ReferenceEquals(spec, model.Encoder);
        return new WindowRunner(
            pool, isEncoder || model.DecoderStartToken is not { } start ? windows : windows.Behind(start), isEncoder,
            rows => Transformer.ScratchFloats(model, rows, windows.Length, pool.Threads), cancellation);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach ((_, WindowRunner runner) in Stacks)
            runner.Dispose();
    }
}
