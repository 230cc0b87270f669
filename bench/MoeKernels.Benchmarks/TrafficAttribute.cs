namespace MoeKernels.Benchmarks;

/// <summary>What one invocation of a benchmark moves and computes; the report divides it by the mean time.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TrafficAttribute : Attribute
{
    /// <summary>Bytes of weights or rows read.</summary>
    public long Bytes { get; init; }

    /// <summary>Floating-point operations, a multiply-add counted as two.</summary>
    public long Flops { get; init; }
}
