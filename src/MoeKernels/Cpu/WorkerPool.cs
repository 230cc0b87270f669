using System.Globalization;
using System.Runtime.ExceptionServices;

namespace MoeKernels.Cpu;

/// <summary>Persistent threads that share the items of one <see cref="IWork"/> at a time; a run allocates
/// nothing.</summary>
/// <remarks>
/// The caller is worker 0 and starts at once; helpers join while items are left. A helper that is asleep or descheduled
/// never delays a run it has not joined. Results must not depend on which worker computes an item, so a second caller
/// that finds the pool busy simply runs its items alone.
/// </remarks>
internal sealed unsafe class WorkerPool : IDisposable
{
    /// <summary>Far above any machine of today: more is a typing mistake, and would take minutes to start.</summary>
    public const int MaxThreads = 1024;

    private const string Variable = "MOEK_THREADS";

    // About 50 microseconds: longer than the serial gaps between two parallel steps of a layer.
    private const int SpinRounds = 1500;
    private const int HelperStackBytes = 1 << 20;

    // Low half: helpers inside the run. Bit 32: the run accepts helpers. Above: number of the run.
    private const long OneRun = 1L << 33;
    private const long Open = 1L << 32;

    private readonly object _sleep = new();
    private readonly Thread[] _helpers;
    private readonly ScratchPool _scratch = new();
    private PaddedLong _state;
    private PaddedLong _next;
    private int _busy;
    private int _sleepers;
    private volatile bool _stop;

    private void* _work;
    private delegate*<void*, int, int, int, void> _execute;
    private int _items;
    private int _maxGrain;
    private ExceptionDispatchInfo? _error;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Workers including the caller; 0 means <see cref="DefaultThreads"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="threads"/> is negative or above
    /// <see cref="MaxThreads"/>.</exception>
    public WorkerPool(int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(threads, MaxThreads);
        Threads = threads == 0 ? DefaultThreads : threads;
        _helpers = new Thread[Threads - 1];
        for (int i = 0; i < _helpers.Length; i++)
        {
            int worker = i + 1;
            _helpers[i] = new Thread(() => HelperLoop(worker), HelperStackBytes)
            {
                IsBackground = true,
                Name = string.Create(CultureInfo.InvariantCulture, $"moek-{worker}"),
            };
            _helpers[i].Start();
        }
    }

    /// <summary>Workers, the calling thread included.</summary>
    public int Threads { get; }

    /// <summary>Sees the inputs of all products of this pool; null in normal use.</summary>
    public ILinearTap? Tap { get; set; }

    /// <summary>What the environment variable MOEK_THREADS asks for, else the processors of this process.</summary>
    /// <exception cref="MoeUnsupportedException">The variable holds no number of threads.</exception>
    public static int DefaultThreads => FromEnvironment(Environment.GetEnvironmentVariable(Variable));

    /// <summary>Reads a number of threads; nothing and 0 stand for all processors.</summary>
    /// <exception cref="MoeUnsupportedException">It is no whole number up to <see cref="MaxThreads"/>.</exception>
    public static int FromEnvironment(string? value)
    {
        int threads = 0;
        bool valid = string.IsNullOrEmpty(value)
            || int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out threads);
        if (!valid || threads > MaxThreads)
        {
            throw new MoeUnsupportedException(
                string.Create(CultureInfo.InvariantCulture, $"{Variable}={value} (known: 1 to {MaxThreads})"));
        }

        return threads > 0 ? threads : Math.Min(Environment.ProcessorCount, MaxThreads);
    }

    /// <summary>Executes all items and returns when they are done.</summary>
    /// <typeparam name="TWork">A struct without managed references.</typeparam>
    /// <param name="work">Shared by all workers; it is pinned, not copied.</param>
    /// <param name="items">Number of items; workers take runs of consecutive ones.</param>
    /// <param name="maxGrain">Most items taken at once: small for few, heavy or uneven items.</param>
    /// <remarks>An exception of an item is rethrown here after every worker has left the run; items not yet started are
    /// then skipped.</remarks>
    public void Run<TWork>(ref TWork work, int items, int maxGrain = int.MaxValue)
        where TWork : unmanaged, IWork
    {
        if (items <= 0)
            return;
        if (items == 1 || _helpers.Length == 0 || Interlocked.CompareExchange(ref _busy, 1, 0) != 0)
        {
            work.Execute(0, items, 0);
            return;
        }

        try
        {
            fixed (TWork* pinned = &work)
            {
                _work = pinned;
                _execute = &Execute<TWork>;
                _items = items;
                _maxGrain = maxGrain;
                RunPublished();
            }
        }
        finally
        {
            _work = null;
            Volatile.Write(ref _busy, 0);
        }
    }

    /// <summary>Lends native memory to a call; it is kept for later calls and freed with the pool.</summary>
    /// <param name="bytes">At least so many.</param>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public ScratchPool.Lease Rent(long bytes) => _scratch.Rent(bytes);

    /// <summary>Ends the threads; no run may be in progress.</summary>
    public void Dispose()
    {
        _stop = true;
        lock (_sleep)
            Monitor.PulseAll(_sleep);
        foreach (Thread helper in _helpers)
            helper.Join();
        _scratch.Dispose();
    }

    private static void Execute<TWork>(void* work, int begin, int end, int worker)
        where TWork : unmanaged, IWork => ((TWork*)work)->Execute(begin, end, worker);

    private void RunPublished()
    {
        _error = null;
        Volatile.Write(ref _next.Value, 0);

        // Publishing the run number releases the fields above to the helpers.
        long run = (Volatile.Read(ref _state.Value) & ~(OneRun - 1)) + OneRun;
        Interlocked.Exchange(ref _state.Value, run | Open);
        WakeTwo();

        TakeItems(0);
        Interlocked.And(ref _state.Value, ~Open);
        SpinWait wait = default;
        while (Volatile.Read(ref _state.Value) != run)
            wait.SpinOnce(sleep1Threshold: 200);
        ExceptionDispatchInfo? error = _error;
        _error = null;
        error?.Throw();
    }

    private void TakeItems(int worker)
    {
        int items = _items;
        try
        {
            long begin = Volatile.Read(ref _next.Value);
            while (begin < items)
            {
                // Half of an equal share of what is left: long runs first, for weights stream from memory best that
                // way, short ones in the end, so that nobody waits long for the last.
                long grain = Math.Clamp((items - begin) / (2 * Threads), 1, _maxGrain);
                long seen = Interlocked.CompareExchange(ref _next.Value, begin + grain, begin);
                if (seen == begin)
                {
                    _execute(_work, (int)begin, (int)(begin + grain), worker);
                    seen = Volatile.Read(ref _next.Value);
                }

                begin = seen;
            }
        }
#pragma warning disable CA1031 // Whatever an item throws belongs to the caller of Run, not to this thread.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Interlocked.CompareExchange(ref _error, ExceptionDispatchInfo.Capture(exception), null);
            Volatile.Write(ref _next.Value, items);
        }
    }

    private void HelperLoop(int worker)
    {
        long seen = 0;
        while (!_stop)
        {
            long state = WaitForRun(seen);
            seen = state & ~(OneRun - 1);
            if ((state & Open) == 0 || Interlocked.CompareExchange(ref _state.Value, state + 1, state) != state)
            {
                // Lost a race with another helper or with the end of the run: look again.
                seen = (state & Open) == 0 ? seen : seen - OneRun;
                continue;
            }

            WakeTwo();
            TakeItems(worker);
            Interlocked.Decrement(ref _state.Value);
        }
    }

    /// <summary>Returns a state whose run differs from <paramref name="seen"/>, or any state once the pool
    /// stops.</summary>
    private long WaitForRun(long seen)
    {
        for (int round = 0; round < SpinRounds; round++)
        {
            long state = Volatile.Read(ref _state.Value);
            if ((state & ~(OneRun - 1)) != seen || _stop)
                return state;
            Thread.SpinWait(1);
        }

        lock (_sleep)
        {
            // Counted before the state is read again: a caller that publishes later sees the sleeper and pulses.
            Interlocked.Increment(ref _sleepers);
            while ((Volatile.Read(ref _state.Value) & ~(OneRun - 1)) == seen && !_stop)
                Monitor.Wait(_sleep);
            Interlocked.Decrement(ref _sleepers);
        }

        return Volatile.Read(ref _state.Value);
    }

    // Each worker that wakes wakes two more, so that the caller does not pay for all of a large machine.
    private void WakeTwo()
    {
        if (Volatile.Read(ref _sleepers) == 0)
            return;
        lock (_sleep)
        {
            Monitor.Pulse(_sleep);
            Monitor.Pulse(_sleep);
        }
    }

    // One cache line each: the state is polled while the item counter is written.
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 192)]
    private struct PaddedLong
    {
        [System.Runtime.InteropServices.FieldOffset(64)]
        public long Value;
    }
}
