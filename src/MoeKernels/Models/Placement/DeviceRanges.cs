namespace MoeKernels.Models.Placement;

/// <summary>First and last position that a row sees, and its own.</summary>
internal readonly record struct RowRange(int First, int Last, int Place);

/// <summary>The ranges of a batch's rows on a device, each [rows].</summary>
internal unsafe struct DeviceRanges
{
    public int* First, Last, Places;
}
