namespace MoeKernels.Models.Execution;

/// <summary>The rows of a forward call whose logits are computed.</summary>
internal enum LogitRows
{
    /// <summary>None: the call only fills caches (all chunks of a prefill but the last).</summary>
    None,

    /// <summary>The last row of each sequence.</summary>
    Last,

    /// <summary>Every row.</summary>
    All,
}
