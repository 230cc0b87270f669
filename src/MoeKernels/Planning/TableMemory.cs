using MoeKernels.Cpu;
using MoeKernels.Models.Description;

namespace MoeKernels.Planning;

/// <summary>Memory of the tables that multiplying codebook matrices takes, from the shapes of their tensors.</summary>
internal static class TableMemory
{
    private const string Codes = ".codes";

    /// <summary>The most that one call needs at a time.</summary>
    /// <param name="info">The folder's tensors.</param>
    /// <param name="model">The model.</param>
    /// <param name="rows">Most rows of a call.</param>
    /// <param name="threads">Threads of the pool.</param>
    public static long Bytes(ModelInfo info, ModelDescription model, int rows, int threads)
    {
        var tensors = info.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        long largest = 0;
        foreach (MoeSpec moe in ModelInspector.Layers(model).OfType<MoeSpec>())
        {
            long gateUp = Expert(tensors, moe.Experts, moe.Experts.Gate) + Expert(tensors, moe.Experts, moe.Experts.Up);
            long down = Expert(tensors, moe.Experts, moe.Experts.Down);
            largest = Math.Max(largest, Panel(gateUp, rows, TablePanels.LargeBudget));
            largest = Math.Max(largest, Panel(down, (long)rows * moe.Router.TopK, TablePanels.SmallBudget));
        }

        // Matrices of one module may share a call: query, key and value.
        var modules = tensors.Keys.Where(name => name.EndsWith(Codes, StringComparison.Ordinal))
            .Select(name => name[..^Codes.Length]).Where(name => tensors[name + Codes].Shape[0] == 1)
            .GroupBy(name => Parent(Parent(name)));
        foreach (var module in modules)
        {
            long rowBytes = module.Sum(name => RowBytes(tensors, name));
            largest = Math.Max(largest, Panel(rowBytes, rows, TablePanels.SmallBudget));
        }

        return CodebookRegion.MaxTableBytes(largest, threads);
    }

    private static long Panel(long rowBytes, long rows, long budget) =>
        rowBytes * TablePanels.Rows(rowBytes, (int)Math.Min(rows, int.MaxValue), budget);

    private static long Expert(Dictionary<string, TensorSummary> tensors, ExpertsSpec experts, string? kind) =>
        kind is not null
            && experts.Stack(kind).Spellings.FirstOrDefault(name => tensors.ContainsKey(name + Codes)) is { } present
            ? RowBytes(tensors, present)
            : 0;

    /// <summary>Bytes of the tables of one row of input; 0 where the tensors do not make a stack.</summary>
    private static long RowBytes(Dictionary<string, TensorSummary> tensors, string name)
    {
        if (tensors[name + Codes].Shape is not [_, var lines, CodebookShape.BlockRows]
            || tensors.GetValueOrDefault(name + ".scales")?.Shape is not [_, >= CodebookShape.BlockRows and var padded]
            || tensors.GetValueOrDefault(name + ".codebook")?.Shape is not
                [_, >= 1 and <= CodebookShape.MaxStages and var stages, _,
                    >= 1 and <= CodebookShape.MaxDimension and var dimension])
        {
            return 0;
        }

        long groups = lines * CodebookShape.BlockRows / padded / stages;
        return groups is >= 1 and <= CodebookShape.MaxExtent / CodebookShape.MaxDimension
            ? CodebookTables.ByteCount(
                new CodebookShape(1, (int)(groups * dimension), (int)dimension, (int)stages), 1)
            : 0;
    }

    private static string Parent(string name) => name[..Math.Max(name.LastIndexOf('.'), 0)];
}
