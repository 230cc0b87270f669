namespace MoeKernels.Cpu;

/// <summary>Rows of work in expert order and where their inputs are.</summary>
/// <param name="experts">Number of experts E.</param>
/// <param name="offsets">First slot of each expert, [E + 1].</param>
/// <param name="x">Inputs, [rows × columns]; nothing behind a row's last column is read.</param>
/// <param name="xStride">Distance between two rows of <paramref name="x"/> in elements.</param>
/// <param name="rows">Rows of <paramref name="x"/>.</param>
/// <param name="rowOfSlot">The row that is a slot's input, ascending within an expert, [slots]; null when the inputs
/// are in expert order themselves.</param>
internal readonly unsafe struct ExpertSlots(
    int experts, int* offsets, float* x, nint xStride, int rows, int* rowOfSlot = null)
{
    /// <summary>E.</summary>
    public readonly int Experts = experts;

    /// <summary>First slot of each expert, [E + 1].</summary>
    public readonly int* Offsets = offsets;

    /// <summary>Inputs.</summary>
    public readonly float* X = x;

    /// <summary>Distance between two rows of the inputs in elements.</summary>
    public readonly nint XStride = xStride;

    /// <summary>Rows of the inputs.</summary>
    public readonly int Rows = rows;

    /// <summary>The row that is a slot's input, or null.</summary>
    public readonly int* RowOfSlot = rowOfSlot;

    /// <summary>Number of slots.</summary>
    public int Slots => Offsets[Experts];

    /// <summary>The row that is a slot's input.</summary>
    public int Row(int slot) => RowOfSlot == null ? slot : RowOfSlot[slot];
}
