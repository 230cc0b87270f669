using MoeKernels.Cpu;

namespace MoeKernels.Models.Layers;

/// <summary>A loaded linear layer: its matrix [outputs × inputs] and its bias [outputs], or null.</summary>
internal readonly unsafe struct LinearWeights(in WeightMatrix matrix, float* bias)
{
    private readonly WeightMatrix _matrix = matrix;

    public WeightMatrix Matrix => _matrix;

    public float* Bias => bias;

    public int Outputs => _matrix.Rows;

    public int Inputs => _matrix.Columns;

    /// <summary>This layer as one of several that share an input; y is [tokens × outputs], contiguous.</summary>
    public LinearPart Part(float* y) => new(_matrix, bias, y, _matrix.Rows);

    /// <summary>Computes y [tokens × outputs] from x [tokens × inputs], both contiguous.</summary>
    public void Forward(WorkerPool pool, float* x, int tokens, float* y) =>
        Linear.Forward(pool, _matrix, bias, x, _matrix.Columns, tokens, y, _matrix.Rows);
}
