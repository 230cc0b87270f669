namespace MoeKernels.Benchmarks.Reporting;

/// <summary>The range a figure should lie in; infinite where there is no bound.</summary>
internal readonly record struct Target(double Least, double Most)
{
    /// <summary>More is better.</summary>
    public static Target AtLeast(double value) => new(value, double.PositiveInfinity);

    /// <summary>Less is better.</summary>
    public static Target AtMost(double value) => new(double.NegativeInfinity, value);

    /// <summary>Whether a figure lies inside, ends included.</summary>
    public bool IsMet(double value) => value >= Least && value <= Most;
}

/// <summary>One line of the table.</summary>
/// <param name="Benchmark">Section, as <c>--only</c> names it.</param>
/// <param name="Case">What was run: shapes, format, phase.</param>
/// <param name="Threads">Worker threads.</param>
/// <param name="Measure">What the value is.</param>
/// <param name="Value">The figure.</param>
/// <param name="Unit">Its unit; empty for a ratio.</param>
/// <param name="Target">What it should reach; null for a figure that is only reported.</param>
internal sealed record Result(
    string Benchmark, string Case, int Threads, string Measure, double Value, string Unit, Target? Target = null);
