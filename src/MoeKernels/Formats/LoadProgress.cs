namespace MoeKernels.Formats;

/// <summary>How far a load has come.</summary>
/// <param name="BytesRead">Bytes read so far.</param>
/// <param name="BytesTotal">Bytes to read.</param>
public readonly record struct LoadProgress(long BytesRead, long BytesTotal);
