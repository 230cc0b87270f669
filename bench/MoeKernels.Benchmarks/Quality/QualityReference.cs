namespace MoeKernels.Benchmarks.Quality;

/// <summary>Loss above dense, in nats on the validation books, of the laboratory's codebooks with targets from the
/// dense stream, read on 96 windows: what a release must not fall behind.</summary>
internal static class QualityReference
{
    private static readonly (double Bits, double Loss)[] Medium =
    [
        (0.6, .275), (0.7, .149), (0.8, .117), (0.9, .074), (1, .063), (1.1, .047), (1.25, .030), (1.5, .0167),
        (2, .0072), (2.5, .0054), (3, .0053),
    ];

    private static readonly (double Bits, double Loss)[] Small =
    [
        (0.8, .481), (0.9, .390), (1, .314), (1.1, .256), (1.25, .192), (1.5, .125), (2, .055), (2.5, .028),
        (3, .0141),
    ];

    /// <summary>The loss to reach; null where there is none.</summary>
    public static double? Loss(string model, double bits)
    {
        (double Bits, double Loss)[] points = model.EndsWith("-m", StringComparison.Ordinal) ? Medium
            : model.EndsWith("-s", StringComparison.Ordinal) ? Small : [];
        int index = Array.FindIndex(points, point => point.Bits == bits);
        return index < 0 ? null : points[index].Loss;
    }

    /// <summary>Whether a loss is as good: within 8 % or .005 nats.</summary>
    public static bool Reached(double loss, double reference) => loss <= Math.Max(reference * 1.08, reference + .005);
}
