namespace MoeKernels.Compression;

/// <summary>How <see cref="ScalarQuantizer"/> rounds a matrix.</summary>
/// <param name="Grid">The values a weight may take.</param>
internal sealed record ScalarOptions(ScalarGrid Grid)
{
    /// <summary>Group size that means a whole row.</summary>
    public const int WholeRow = -1;

    /// <summary>What is added to the Hessian's diagonal, as a share of the diagonal's mean; never below
    /// 1e-6.</summary>
    public float Damping { get; init; } = .1f;

    /// <summary>Rounds the columns with the largest Hessian diagonal first, ties in their order.</summary>
    public bool ActOrder { get; init; }

    /// <summary>Columns, in the order they are rounded, that share scale and zero.</summary>
    public int GroupSize { get; init; } = WholeRow;

    /// <summary>
    /// Columns whose errors reach the later blocks together. A group is fitted to weights that know the errors of
    /// earlier blocks only: QMoE's blocks of 128 keep groups of 32 from seeing their neighbours' errors.
    /// </summary>
    public int BlockColumns { get; init; } = 128;

    /// <summary>Rounds scale and zero of ternary groups to bf16, the width QMoE stores; nothing changes where weights
    /// are bf16 themselves.</summary>
    public bool Bf16Levels { get; init; }

    /// <summary>Rounds the scales of equidistant groups to fp16, the width in which they are stored.</summary>
    public bool HalfScales { get; init; }

    /// <summary>QMoE's own settings, with levels its files can hold.</summary>
    public static ScalarOptions Qmoe => new(ScalarGrid.Ternary) { Bf16Levels = true };

    /// <summary>Plain integers: groups of 64 columns, each fitted to weights that know all errors before it.</summary>
    /// <param name="bits">2, 3 or 4, as a rule.</param>
    public static ScalarOptions Integers(int bits) =>
        new(ScalarGrid.Uniform(bits)) { Damping = .01f, GroupSize = 64, BlockColumns = 64 };

    /// <summary><see cref="Integers"/> with scales that their files can hold.</summary>
    public static ScalarOptions StoredIntegers(int bits) => Integers(bits) with { HalfScales = true };

    /// <summary>Groups of a row.</summary>
    public int Groups(int columns) => GroupSize == WholeRow ? 1 : (columns + GroupSize - 1) / GroupSize;

    /// <summary>Throws on values that mean nothing.</summary>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public void Validate()
    {
        if (!(Damping >= 0) || !float.IsFinite(Damping))
            throw new ArgumentOutOfRangeException(nameof(Damping), Damping, "Damping is a share of the diagonal.");
        if (GroupSize is not WholeRow and < 1)
            throw new ArgumentOutOfRangeException(nameof(GroupSize), GroupSize, "A group has at least one column.");
        ArgumentOutOfRangeException.ThrowIfLessThan(BlockColumns, 1);
    }
}
