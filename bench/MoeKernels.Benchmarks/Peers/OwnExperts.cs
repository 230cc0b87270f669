using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Layers;
using MoeKernels.Permute;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>The library's steps from routing to expert outputs over an <see cref="ExpertProblem"/>.</summary>
internal sealed unsafe class OwnExperts : IDisposable
{
    private readonly ExpertProblem _problem;
    private readonly WorkerPool _pool;
    private readonly NativeBuffer _memory;
    private readonly WeightMatrix* _gate, _up, _down;
    private readonly int* _planMemory;
    private readonly float* _slots, _inner;
    private DispatchPlan _plan;

    /// <summary>Reserves the buffers that a layer would take from its workspace.</summary>
    public OwnExperts(ExpertProblem problem, int threads)
    {
        _problem = problem;
        _pool = new WorkerPool(threads);
        long choices = (long)problem.Tokens * ExpertProblem.TopK;
        long views = 3L * ExpertProblem.Experts * sizeof(WeightMatrix);
        long plan = sizeof(int) * DispatchPlan.Size(problem.Tokens, ExpertProblem.TopK, ExpertProblem.Experts);
        long slots = choices * ExpertProblem.Hidden * sizeof(float);
        long inner = choices * ExpertProblem.Intermediate * sizeof(float);
        _memory = NativeBuffer.Allocate(slots + inner + views + plan, "benchmark workspace");
        _slots = (float*)_memory.Pointer;
        _inner = (float*)(_memory.Pointer + slots);
        _gate = (WeightMatrix*)(_memory.Pointer + slots + inner);
        _up = _gate + ExpertProblem.Experts;
        _down = _up + ExpertProblem.Experts;
        _planMemory = (int*)(_down + ExpertProblem.Experts);
        View(_gate, problem.GateWeights, ExpertProblem.Intermediate, ExpertProblem.Hidden);
        View(_up, problem.UpWeights, ExpertProblem.Intermediate, ExpertProblem.Hidden);
        View(_down, problem.DownWeights, ExpertProblem.Hidden, ExpertProblem.Intermediate);
        new Span<float>(_inner, (int)choices * ExpertProblem.Intermediate).Fill(0.5f);
        Dispatch();
    }

    /// <summary>Sorting by expert, copying, one projection hidden to intermediate.</summary>
    public void Up()
    {
        Dispatch();
        UpOnly();
    }

    /// <summary>The projection alone, of rows that are in expert order.</summary>
    public void UpOnly() => Project(_up, _slots, ExpertProblem.Hidden, _inner, ExpertProblem.Intermediate);

    /// <summary>One projection intermediate to hidden, of rows that are in expert order.</summary>
    public void Down() => Project(_down, _inner, ExpertProblem.Intermediate, _slots, ExpertProblem.Hidden);

    /// <summary>Sorting, copying, gate and up with their activation, down.</summary>
    public void All()
    {
        Dispatch();
        GroupedGemm.GateUp(
            _pool, Activation.SiluGated, _gate, _up, null, null, ExpertProblem.Experts, _plan.ExpertOffsets, _slots,
            ExpertProblem.Hidden, _inner, ExpertProblem.Intermediate);
        Down();
    }

    /// <summary>Relative difference (root of summed squares) between a result in token order and the last one of
    /// <see cref="Up"/>.</summary>
    public double DifferenceOfUp(float* result) => Difference(result, _inner, ExpertProblem.Intermediate);

    /// <summary>As <see cref="DifferenceOfUp"/>, for <see cref="All"/>.</summary>
    public double DifferenceOfAll(float* result) => Difference(result, _slots, ExpertProblem.Hidden);

    public void Dispose()
    {
        _pool.Dispose();
        _memory.Dispose();
    }

    private static void View(WeightMatrix* views, NativeBuffer memory, int rows, int columns)
    {
        nint rowBytes = columns * sizeof(ushort);
        for (int expert = 0; expert < ExpertProblem.Experts; expert++)
        {
            byte* data = memory.Pointer + (expert * rows * rowBytes);
            views[expert] = new WeightMatrix(WeightFormat.BF16, data, rows, columns, rowBytes);
        }
    }

    private void Dispatch()
    {
        _plan = DispatchPlan.Build(
            _planMemory, _problem.Ids, _problem.Tokens, ExpertProblem.TopK, ExpertProblem.Experts);
        PermuteWork.Dispatch(_pool, _plan, _problem.X, ExpertProblem.Hidden, null, _slots);
    }

    private void Project(WeightMatrix* weights, float* x, int columns, float* y, int rows) =>
        GroupedGemm.Down(_pool, weights, null, ExpertProblem.Experts, _plan.ExpertOffsets, x, columns, y, rows);

    private double Difference(float* result, float* own, int width)
    {
        double squares = 0, differences = 0;
        for (int choice = 0; choice < _problem.Tokens * ExpertProblem.TopK; choice++)
        {
            float* theirs = result + ((long)choice * width);
            float* ours = own + ((long)_plan.SlotOf[choice] * width);
            for (int i = 0; i < width; i++)
            {
                squares += (double)ours[i] * ours[i];
                differences += (double)(ours[i] - theirs[i]) * (ours[i] - theirs[i]);
            }
        }

        return Math.Sqrt(differences / squares);
    }
}
