namespace MoeKernels.Experts;

/// <summary>How the gate and up rows of an expert lie in one [2 I × hidden] matrix.</summary>
public enum GateUpOrder
{
    /// <summary>All gate rows, then all up rows.</summary>
    Concatenated,

    /// <summary>Gate row, up row, gate row, ... (GPT-OSS).</summary>
    Interleaved,
}
