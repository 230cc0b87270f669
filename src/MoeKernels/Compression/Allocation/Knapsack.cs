namespace MoeKernels.Compression;

/// <summary>Chooses an option for every cell so that the sum of losses is least within a number of bytes.</summary>
internal static class Knapsack
{
    /// <summary>Most budget steps of the dynamic programme: a thousandth of a bit where weights have one.</summary>
    private const int Steps = 4096;

    /// <summary>Fewest bytes that any choice takes.</summary>
    public static long Floor(IEnumerable<Cell> cells) => cells.Sum(cell => CodeOption.All.Min(cell.Bytes));

    /// <summary>Chooses.</summary>
    /// <param name="curves">Cells and their losses.</param>
    /// <param name="budget">Bytes; at least <see cref="Floor"/>.</param>
    /// <returns>Indices into <see cref="CodeOption.All"/>, one per cell.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The budget is below the floor.</exception>
    public static int[] Choose(IReadOnlyList<CellCurve> curves, long budget)
    {
        long floor = Floor(curves.Select(curve => curve.Cell));
        ArgumentOutOfRangeException.ThrowIfLessThan(budget, floor);

        // Bytes above the floor, in steps that are rounded up, so that the budget holds.
        int steps = (int)Math.Min(budget - floor, Steps);
        double step = Math.Max((budget - floor) / (double)Steps, 1);
        double[] best = new double[steps + 1];
        Array.Fill(best, double.PositiveInfinity);
        best[0] = 0;
        var choices = new byte[curves.Count][];
        for (int c = 0; c < curves.Count; c++)
            best = Extend(curves[c], step, best, choices[c] = new byte[steps + 1]);

        int[] chosen = new int[curves.Count];
        int used = Array.IndexOf(best, best.Min());
        for (int c = curves.Count - 1; c >= 0; c--)
        {
            chosen[c] = choices[c][used];
            used -= Cost(curves[c].Cell, chosen[c], step);
        }

        return chosen;
    }

    private static double[] Extend(CellCurve curve, double step, double[] best, byte[] choice)
    {
        double[] next = new double[best.Length];
        Array.Fill(next, double.PositiveInfinity);
        for (int option = 0; option < CodeOption.All.Count; option++)
        {
            int cost = Cost(curve.Cell, option, step);
            for (int used = cost; used < next.Length; used++)
            {
                double loss = best[used - cost] + curve.Losses[option];
                if (loss < next[used])
                    (next[used], choice[used]) = (loss, (byte)option);
            }
        }

        return next;
    }

    private static int Cost(Cell cell, int option, double step)
    {
        long above = cell.Bytes(CodeOption.All[option]) - CodeOption.All.Min(cell.Bytes);
        return (int)Math.Min(Math.Ceiling(above / step), int.MaxValue / 2);
    }
}
