using System.Globalization;
using System.Reflection;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace MoeKernels.Benchmarks;

/// <summary>A rate of <see cref="TrafficAttribute"/> in units of 10⁹ per second, from the mean time.</summary>
internal sealed class RateColumn(string name, Func<TrafficAttribute, long> amount) : IColumn
{
    public string Id => name;

    public string ColumnName => name;

    public string Legend => $"{name}: work of the method over its mean time";

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        TrafficAttribute? traffic = benchmarkCase.Descriptor.WorkloadMethod.GetCustomAttribute<TrafficAttribute>();
        double? nanoseconds = summary[benchmarkCase]?.ResultStatistics?.Mean;
        return traffic == null || amount(traffic) == 0 || nanoseconds == null
            ? "-"
            : (amount(traffic) / nanoseconds.Value).ToString("F1", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        GetValue(summary, benchmarkCase);
}
