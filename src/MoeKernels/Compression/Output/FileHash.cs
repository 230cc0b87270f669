using System.Security.Cryptography;

namespace MoeKernels.Compression;

/// <summary>SHA-256 of files.</summary>
internal static class FileHash
{
    /// <summary>The digest in lower-case hexadecimal.</summary>
    /// <param name="path">The file.</param>
    /// <param name="count">Told the bytes of every piece read; may be null.</param>
    /// <param name="cancellation">Stops between pieces.</param>
    /// <exception cref="MoeFormatException">The file cannot be read.</exception>
    public static string Of(string path, Action<int>? count, CancellationToken cancellation)
    {
        try
        {
            return Read(path, count, cancellation);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new MoeFormatException(path, null, $"cannot be read: {e.Message}", e);
        }
    }

    private static string Read(string path, Action<int>? count, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using FileStream file = new(
            path, FileMode.Open, FileAccess.Read, FileShare.Read, 1, FileOptions.SequentialScan);
        byte[] piece = new byte[1 << 20];
        for (int read; (read = file.Read(piece)) > 0; count?.Invoke(read))
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(piece, 0, read);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
