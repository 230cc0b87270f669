using CsCheck;
using MoeKernels.Compression;

namespace MoeKernels.Tests.Compression.Allocation;

public sealed class KnapsackTests
{
    private static readonly Gen<CellCurve[]> Curves = Gen.Select(
        Gen.Int[1, 64], Gen.Int[8, 200], Gen.Int[8, 200], Gen.Double[0.1, 10], (count, rows, columns, loss) =>
        {
            Cell cell = new("stack", 0, Cell.Up, count, rows, columns);
            return new CellCurve(
                cell, [.. CodeOption.All.Select(option => loss * Math.Pow(4, -option.CodeBits))]);
        }).Array[1, 6];

    [Fact]
    public void Choose_AnyBudgetFromTheFloorOn_IsKept() => Gen.Select(Curves, Gen.Double[0, 1]).Sample(
        CheckBudgets, iter: 100);

    [Fact]
    public void Choose_FewCells_FindsTheLeastLoss() => Gen.Select(Curves, Gen.Double[0, 1]).Sample(
        CheckLoss, iter: 100);

    private static void CheckBudgets(CellCurve[] curves, double share)
    {
        long floor = Knapsack.Floor(curves.Select(curve => curve.Cell));
        long most = curves.Sum(curve => CodeOption.All.Max(curve.Cell.Bytes));
        long some = floor + (long)(share * share * share * (most - floor));
        foreach (long budget in (long[])[floor, floor + 1, some, most])
        {
            int[] chosen = Knapsack.Choose(curves, budget);
            Assert.InRange(Bytes(curves, chosen), floor, budget);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => Knapsack.Choose(curves, floor - 1));
    }

    private static void CheckLoss(CellCurve[] curves, double share)
    {
        curves = curves[..Math.Min(curves.Length, 2)];
        long floor = Knapsack.Floor(curves.Select(curve => curve.Cell));
        long most = curves.Sum(curve => CodeOption.All.Max(curve.Cell.Bytes));
        long budget = floor + (long)(share * (most - floor));
        double found = Loss(curves, Knapsack.Choose(curves, budget));

        // The programme rounds costs up to steps: it finds the best of a budget that is a step per cell smaller.
        long step = ((budget - floor) / 4096) + 1;
        double best = All(curves.Length)
            .Where(choice => Bytes(curves, choice) <= budget - (curves.Length * step))
            .Select(choice => Loss(curves, choice)).DefaultIfEmpty(double.PositiveInfinity).Min();
        Assert.InRange(found, 0, best);
    }

    private static long Bytes(CellCurve[] curves, int[] chosen) =>
        curves.Select((curve, i) => curve.Cell.Bytes(CodeOption.All[chosen[i]])).Sum();

    private static double Loss(CellCurve[] curves, int[] chosen) =>
        curves.Select((curve, i) => curve.Losses[chosen[i]]).Sum();

    private static IEnumerable<int[]> All(int cells) => cells == 0
        ? [[]]
        : All(cells - 1).SelectMany(
            rest => Enumerable.Range(0, CodeOption.All.Count).Select(i => rest.Append(i).ToArray()));
}
