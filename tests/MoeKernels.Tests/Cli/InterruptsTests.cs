using System.Runtime.InteropServices;
using MoeKernels.Cli.Commands;

namespace MoeKernels.Tests.Cli;

public sealed class InterruptsTests : IDisposable
{
    private readonly Interrupts _interrupts = new();

    [Fact]
    public void CtrlC_DuringAStep_StopsTheStepAndTheSecondTheCommand()
    {
        var step = _interrupts.BeginStep();
        Assert.True(CtrlC());
        Assert.True(step.IsCancellationRequested);
        Assert.False(_interrupts.Command.IsCancellationRequested);

        Assert.True(CtrlC());
        Assert.True(_interrupts.Command.IsCancellationRequested);
        Assert.False(CtrlC());
    }

    [Fact]
    public void CtrlC_BetweenSteps_EndsTheCommand()
    {
        var first = _interrupts.BeginStep();
        _interrupts.EndStep();
        Assert.True(CtrlC());
        Assert.False(first.IsCancellationRequested);
        Assert.True(_interrupts.Command.IsCancellationRequested);
        Assert.True(_interrupts.BeginStep().IsCancellationRequested);
    }

    [Fact]
    public void Terminate_DuringAStep_EndsBoth()
    {
        var step = _interrupts.BeginStep();
        _interrupts.OnTerminate(new PosixSignalContext(PosixSignal.SIGTERM));
        Assert.True(step.IsCancellationRequested);
        Assert.True(_interrupts.Command.IsCancellationRequested);
    }

    public void Dispose() => _interrupts.Dispose();

    /// <summary>Whether the process survives.</summary>
    private bool CtrlC()
    {
        var context = new PosixSignalContext(PosixSignal.SIGINT);
        _interrupts.OnInterrupt(context);
        return context.Cancel;
    }
}
