namespace MoeKernels.Cpu;

/// <summary>Independent items of work that a <see cref="WorkerPool"/> spreads over its threads.</summary>
/// <remarks>Implementations are unmanaged structs of pointers and sizes, so that starting them allocates
/// nothing.</remarks>
internal interface IWork
{
    /// <summary>Computes the items <c>[begin, end)</c>. Called from several threads at once with disjoint
    /// ranges.</summary>
    /// <param name="begin">First item.</param>
    /// <param name="end">One past the last item.</param>
    /// <param name="worker">Number of the calling worker, below <see cref="WorkerPool.Threads"/>; two calls of one run
    /// that overlap in time have different numbers.</param>
    void Execute(int begin, int end, int worker);
}
