using MoeKernels.Cpu;
using MoeKernels.Models.Execution;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>Spreads the choice of experts over the threads of a pool.</summary>
internal static unsafe class RouterWork
{
    /// <summary>Logits below which waking the helpers costs more than they save: about 60 microseconds of one
    /// core.</summary>
    private const long MinLogits = 8 * 1024;

    /// <summary>Floats that <see cref="Select"/> takes from the workspace.</summary>
    public static long ScratchFloats(RouterSpec router, int rows, int threads) =>
        Workspace.Rounded(CapacityLimiter.ScratchFloats(router, rows))
        + Workspace.Rounded(threads * TopKSelection.RowScratchFloats(router));

    /// <summary>As <see cref="TopKSelection.Select"/>, with the same bits.</summary>
    public static void Select(
        WorkerPool pool,
        Workspace workspace,
        RouterSpec router,
        in RouterInput input,
        int* topkIds,
        float* topkWeights,
        string step)
    {
        RouterScores.Check(router, input, step);
        long mark = workspace.Mark();
        float* limits = workspace.Take(CapacityLimiter.ScratchFloats(router, input.Tokens));
        float* scratch = workspace.Take(pool.Threads * TopKSelection.RowScratchFloats(router));
        var work = new SelectWork(
            new RowRules(router), input, topkIds, topkWeights, scratch, TopKSelection.RowScratchFloats(router));
        if ((long)input.Tokens * router.Experts < MinLogits)
            work.Execute(0, input.Tokens, 0);
        else
            pool.Run(ref work, input.Tokens);
        TopKSelection.LimitRows(router, input, topkIds, topkWeights, limits);
        workspace.Release(mark);
    }

    private readonly struct SelectWork(
        RowRules rules, RouterInput input, int* topkIds, float* topkWeights, float* scratch, long rowScratch) : IWork
    {
        public void Execute(int begin, int end, int worker) =>
            TopKSelection.SelectRows(
                rules, input, begin, end - begin, topkIds, topkWeights, scratch + (worker * rowScratch));
    }
}
