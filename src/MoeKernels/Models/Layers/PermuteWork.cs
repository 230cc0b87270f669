using MoeKernels.Cpu;
using MoeKernels.Permute;

namespace MoeKernels.Models.Layers;

/// <summary>Spreads dispatch, combine and the shared expert's addition over the threads of a pool.</summary>
internal static unsafe class PermuteWork
{
    /// <summary>Elements below which waking the helpers costs more than they save.</summary>
    private const long MinElements = 64 * 1024;

    /// <summary>All slots of <see cref="Permute.Dispatch.Rows"/>.</summary>
    public static void Dispatch(
        WorkerPool pool, in DispatchPlan plan, float* x, int width, float* inputWeights, float* xp)
    {
        var work = new DispatchWork(plan, x, width, inputWeights, xp);
        Run(pool, ref work, plan.Slots, (long)plan.Slots * width);
    }

    /// <summary>All tokens of <see cref="Permute.Combine.Rows"/>.</summary>
    public static void Combine(
        WorkerPool pool, in DispatchPlan plan, float* yp, int width, float* weights, float* dropped, float* y)
    {
        var work = new CombineWork(plan, yp, width, weights, dropped, y);
        Run(pool, ref work, plan.Tokens, (long)plan.Tokens * plan.TopK * width);
    }

    /// <summary><c>y[t] += scale[t] · x[t]</c>, fused; all scales are 1 when <paramref name="scales"/> is
    /// null.</summary>
    public static void Add(WorkerPool pool, float* x, float* scales, int tokens, int width, float* y)
    {
        var work = new AddWork(x, scales, width, y);
        Run(pool, ref work, tokens, (long)tokens * width);
    }

    private static void Run<TWork>(WorkerPool pool, ref TWork work, int items, long elements)
        where TWork : unmanaged, IWork
    {
        if (elements < MinElements)
            work.Execute(0, items, 0);
        else
            pool.Run(ref work, items);
    }

    private readonly struct DispatchWork(DispatchPlan plan, float* x, int width, float* inputWeights, float* xp) : IWork
    {
        public void Execute(int begin, int end, int worker) =>
            Permute.Dispatch.Rows(plan, x, width, inputWeights, xp, begin, end - begin);
    }

    private readonly struct AddWork(float* x, float* scales, int width, float* y) : IWork
    {
        public void Execute(int begin, int end, int worker)
        {
            for (int t = begin; t < end; t++)
            {
                float scale = scales == null ? 1f : scales[t];
                Vec.AddScaled(y + ((long)t * width), x + ((long)t * width), scale, width);
            }
        }
    }

    private readonly struct CombineWork(
        DispatchPlan plan, float* yp, int width, float* weights, float* dropped, float* y) : IWork
    {
        public void Execute(int begin, int end, int worker) =>
            Permute.Combine.Rows(plan, yp, width, weights, dropped, y, begin, end - begin);
    }
}
