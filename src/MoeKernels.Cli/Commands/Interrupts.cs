using System.Runtime.InteropServices;

namespace MoeKernels.Cli.Commands;

/// <summary>Turns Ctrl+C and SIGTERM into cancellation. A signal that finds everything cancelled already ends the
/// process at once.</summary>
internal sealed class Interrupts : IDisposable
{
    private readonly CancellationTokenSource _command = new();
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;
    private volatile CancellationTokenSource? _step;

    public Interrupts()
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnInterrupt);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnTerminate);
    }

    /// <summary>Cancelled when the whole command is to end.</summary>
    public CancellationToken Command => _command.Token;

    /// <summary>Starts a part of the command which the first Ctrl+C stops without ending the command.</summary>
    /// <returns>Cancelled by that Ctrl+C or by SIGTERM.</returns>
    public CancellationToken BeginStep()
    {
        // Never disposed: it holds nothing, and a signal may still be looking at it.
        var step = new CancellationTokenSource();
        _step = step;
        if (_command.IsCancellationRequested)
        {
            step.Cancel();
        }

        return step.Token;
    }

    /// <summary>From here on Ctrl+C ends the command again.</summary>
    public void EndStep() => _step = null;

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
        _step?.Dispose();
        _command.Dispose();
    }

    /// <summary>Answers Ctrl+C.</summary>
    public void OnInterrupt(PosixSignalContext context)
    {
        if (_step is { IsCancellationRequested: false } step)
        {
            context.Cancel = true;
            step.Cancel();
        }
        else
        {
            OnTerminate(context);
        }
    }

    /// <summary>Answers SIGTERM.</summary>
    public void OnTerminate(PosixSignalContext context)
    {
        context.Cancel = !_command.IsCancellationRequested;
        _command.Cancel();
        _step?.Cancel();
    }
}
