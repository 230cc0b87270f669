namespace MoeKernels.Cpu;

/// <summary>How many inputs get tables at a time.</summary>
internal static class TablePanels
{
    /// <summary>Bytes of tables that stay in the last-level cache while the same matrices are looked up; the codes are
    /// read once per panel.</summary>
    public const long SmallBudget = 8 << 20;

    /// <summary>Bytes of tables that many experts share: each panel reads the codes of almost all experts, so there
    /// should be few panels.</summary>
    public const long LargeBudget = 32 << 20;

    /// <summary>Fewer rows would read codes too often for too little work.</summary>
    private const int MinRows = 16;

    /// <summary>Rows of a panel: what the budget holds, a multiple of 16.</summary>
    /// <param name="bytesPerRow">Bytes of all tables of a row.</param>
    /// <param name="rows">All rows.</param>
    /// <param name="budget">Bytes.</param>
    public static int Rows(long bytesPerRow, int rows, long budget) =>
        (int)Math.Min(rows, Math.Max(budget / Math.Max(bytesPerRow, 1) / MinRows, 1) * MinRows);
}
