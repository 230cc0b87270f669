using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Experts;
using MoeKernels.Models.Description;

namespace MoeKernels.Tests.Compression.Pipeline;

/// <summary>A layer's experts in single precision: what their codes stand for.</summary>
internal sealed unsafe class WidenedExperts : IDisposable
{
    private readonly List<NativeBuffer> _buffers = [];

    public WidenedExperts(ExpertMatrices experts, MoeSpec spec)
    {
        Views = StackWalk.Cells(spec, 0).ToDictionary(
            cell => cell.Stack, cell => Array.ConvertAll(StackWalk.Matrices(experts, cell.Kind), Widen));
    }

    /// <summary>Matrices by the name of their stack.</summary>
    public IReadOnlyDictionary<string, WeightMatrix[]> Views { get; }

    public void Dispose() => _buffers.ForEach(buffer => buffer.Dispose());

    private WeightMatrix Widen(WeightMatrix w)
    {
        Assert.True(w.Format is WeightFormat.Codebook or WeightFormat.GroupedInt or WeightFormat.TernaryTiles);
        NativeBuffer buffer = NativeBuffer.Allocate(sizeof(float) * (long)w.Rows * w.Columns, "widened weights");
        _buffers.Add(buffer);
        float* first = (float*)buffer.Pointer;
        for (int row = 0; row < w.Rows; row++)
            WeightRow.Widen(w, row, first + ((nint)row * w.Columns));
        return new WeightMatrix(WeightFormat.F32, first, w.Rows, w.Columns, (nint)w.Columns * sizeof(float));
    }
}
