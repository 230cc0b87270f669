using System.Runtime.ExceptionServices;

namespace MoeKernels.Compression;

/// <summary>Loops over independent items whose failures come out as they were thrown, not in an
/// <see cref="AggregateException"/>.</summary>
internal static class Concurrent
{
    /// <summary>Runs items 0 to <paramref name="count"/>.</summary>
    /// <typeparam name="TWorker">What every worker has to itself.</typeparam>
    /// <param name="count">Items.</param>
    /// <param name="options">Threads and cancellation.</param>
    /// <param name="create">Makes a worker's own; it is disposed in the end.</param>
    /// <param name="action">Runs one item.</param>
    public static void For<TWorker>(
        int count, ParallelOptions options, Func<TWorker> create, Action<int, TWorker> action)
        where TWorker : IDisposable => Unwrap(() => Parallel.For(0, count, options, create, (i, _, worker) =>
        {
            action(i, worker);
            return worker;
        }, worker => worker.Dispose()));

    /// <summary>The first failure is the one to report; that an item was cancelled counts only when nothing
    /// failed.</summary>
    private static void Unwrap(Action loop)
    {
        try
        {
            loop();
        }
        catch (AggregateException e)
        {
            Exception first = e.InnerExceptions.FirstOrDefault(
                inner => inner is not OperationCanceledException, e.InnerExceptions[0]);
            ExceptionDispatchInfo.Throw(first);
        }
    }
}
