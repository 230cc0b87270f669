using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Benchmarks;

/// <summary>The expert products of one decoded token as a layer runs them, beside a plain read of the same bytes: 8 of
/// Qwen3-30B-A3B's experts, all in one parallel region.</summary>
internal sealed unsafe class DecodeComparison : IDisposable
{
    private const int Hidden = 2048;
    private const int Intermediate = 768;
    private const int Experts = 8;

    /// <summary>Sets of experts in rotation: 302 MB.</summary>
    private const int Layers = 4;

    private readonly RotatingMatrices _gateUp =
        new(WeightFormat.BF16, Intermediate, Hidden, 2L * Layers * Experts * Intermediate * Hidden * 2);

    private readonly RotatingMatrices _down =
        new(WeightFormat.BF16, Hidden, Intermediate, 2L * Layers * Experts * Intermediate * Hidden);

    private readonly NativeBuffer _x = NativeBuffer.AllocateZeroed(4L * Experts * Hidden, "x");
    private readonly NativeBuffer _a = NativeBuffer.AllocateZeroed(4L * Experts * Intermediate, "a");
    private readonly NativeBuffer _y = NativeBuffer.AllocateZeroed(4L * Experts * Hidden, "y");
    private readonly NativeBuffer _offsets = NativeBuffer.Allocate(4L * (Experts + 1), "offsets");

    public DecodeComparison()
    {
        _x.AsSpan<float>().Fill(0.5f);
        for (int expert = 0; expert <= Experts; expert++)
            _offsets.AsSpan<int>()[expert] = expert;
    }

    /// <summary>Adds the figures for every thread count.</summary>
    public void Run(BenchmarkRun run)
    {
        const string Name = "bf16, 8 experts of 2048 × 768: gate, up, SiLU, down";
        double gigabytes = (_gateUp.TotalBytes + _down.TotalBytes) / 1e9;
        foreach (int threads in run.ThreadCounts)
        {
            using WorkerPool pool = new(threads);
            var times = Interleaved.Measure(
                run.Quick ? 3 : 15, threads, () => Read(pool), () => Decode(pool), () => ReadStreams(pool));
            MatVecComparison.Report(run, Name, threads, gigabytes, times);
        }
    }

    public void Dispose()
    {
        _gateUp.Dispose();
        _down.Dispose();
        foreach (NativeBuffer buffer in (NativeBuffer[])[_x, _a, _y, _offsets])
            buffer.Dispose();
    }

    private void Read(WorkerPool pool)
    {
        PlainRead.Run(pool, _gateUp.Memory, _gateUp.TotalBytes);
        PlainRead.Run(pool, _down.Memory, _down.TotalBytes);
    }

    private void ReadStreams(WorkerPool pool)
    {
        PlainRead.RunStreams(pool, _gateUp.Memory, _gateUp.TotalBytes);
        PlainRead.RunStreams(pool, _down.Memory, _down.TotalBytes);
    }

    private void Decode(WorkerPool pool)
    {
        int* offsets = (int*)_offsets.Pointer;
        float* inner = (float*)_a.Pointer;
        for (int layer = 0; layer < Layers; layer++)
        {
            WeightMatrix* gate = _gateUp.Views + (2 * layer * Experts);
            GroupedGemm.GateUp(
                pool, Activation.SiluGated, gate, gate + Experts, null, null, Experts, offsets, (float*)_x.Pointer,
                Hidden, inner, Intermediate);
            GroupedGemm.Down(
                pool, _down.Views + (layer * Experts), null, Experts, offsets, inner, Intermediate,
                (float*)_y.Pointer, Hidden);
        }
    }
}
