using MoeKernels.Cpu;

namespace MoeKernels.Models.Execution;

/// <summary>Work over rows that is too little, in decode, to be worth waking other threads.</summary>
internal static class RowWork
{
    /// <summary>Moving so many floats takes one thread a few microseconds, about what starting the others
    /// costs.</summary>
    private const long InlineFloats = 32768;

    /// <summary>Executes one item per row, on this thread alone when they are small.</summary>
    public static void RunRows<TWork>(this WorkerPool pool, ref TWork work, int rows, long floatsPerRow)
        where TWork : unmanaged, IWork
    {
        if (rows * floatsPerRow < InlineFloats)
            work.Execute(0, rows, 0);
        else
            pool.Run(ref work, rows);
    }
}
