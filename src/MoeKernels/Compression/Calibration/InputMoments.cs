using MoeKernels.Cpu;

namespace MoeKernels.Compression;

/// <summary>Accumulates the moments of the inputs of some matrices while their layer runs.</summary>
internal sealed unsafe class InputMoments : ILinearTap, IDisposable
{
    /// <summary>Tokens of a matrix that are looked at: moments of some thousand columns need no more.</summary>
    public const int MaxTokens = 16384;

    private readonly Dictionary<nint, Sum> _sums = [];
    private readonly Scratch _scratch = new();

    /// <param name="matrices">Matrices to observe.</param>
    public InputMoments(IEnumerable<WeightMatrix> matrices)
    {
        foreach (WeightMatrix w in matrices)
            _sums[(nint)w.Data] = new Sum(w.Columns);
    }

    /// <inheritdoc/>
    public void Observe(in WeightMatrix w, float* x, nint xStride, int tokens)
    {
        if (!_sums.TryGetValue((nint)w.Data, out Sum? sum) || sum.Tokens >= MaxTokens)
            return;
        Gemm.AddMoments(new MatrixView(x, xStride), tokens, w.Columns, sum.Data, _scratch);
        sum.Tokens += tokens;
    }

    /// <summary>Mean moments of a matrix's inputs, the upper triangle of [columns × columns]; null when it was not
    /// multiplied.</summary>
    public float* Of(in WeightMatrix w)
    {
        Sum sum = _sums[(nint)w.Data];
        if (sum.Tokens == 0)
            return null;
        for (nint row = 0; !sum.IsMean && row < w.Columns; row++)
            Vec.Scale(sum.Data + (row * w.Columns), 1f / sum.Tokens, sum.Data + (row * w.Columns), w.Columns);
        sum.IsMean = true;
        return sum.Data;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Sum sum in _sums.Values)
            sum.Dispose();
        _scratch.Dispose();
    }

    private sealed class Sum(int columns) : IDisposable
    {
        private readonly NativeBuffer _buffer = NativeBuffer.AllocateZeroed(
            (long)columns * columns * sizeof(float), "moments");

        public float* Data => (float*)_buffer.Pointer;

        public int Tokens { get; set; }

        public bool IsMean { get; set; }

        public void Dispose() => _buffer.Dispose();
    }
}
