namespace MoeKernels.Models.Placement;

/// <summary>The keys and values that a sequence's rows attend to, rows of heads without gaps on a device.</summary>
internal unsafe struct DeviceSource
{
    /// <summary>[positions × kv heads × head dim].</summary>
    public float* Keys, Values;

    /// <summary>Number of positions.</summary>
    public int Positions;

    /// <summary>0 where no row sees a position, [positions]; or null.</summary>
    public int* Mask;
}
