using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Compression;

/// <summary>What a stopped run must share with one that goes on from it: model, texts and settings.</summary>
internal static class StateKey
{
    /// <summary>Version of everything that decides what is written.</summary>
    private const int Version = 3;

    /// <summary>Digest of all of it; files of the model count by name, size and time.</summary>
    /// <param name="folder">The dense model.</param>
    /// <param name="texts">Its texts, divided.</param>
    /// <param name="options">Settings.</param>
    public static string Of(ModelFolder folder, RunText texts, CompressOptions options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var text = new StringBuilder();
        CultureInfo invariant = CultureInfo.InvariantCulture;
        text.Append(invariant, $"{Version} {options.Bits} {options.MaxKl} {options.DenseBits} ");
        text.Append(invariant, $"{options.Allocation} {options.Method} {options.Method.RoundsPlainly} ");
        text.Append(invariant, $"{texts.Calibrated.Length} {Path.GetFullPath(folder.Path)}");
        foreach (string file in folder.Checkpoint.Files)
        {
            FileInfo info = new(file);
            text.Append(invariant, $" {info.Name} {info.Length} {info.LastWriteTimeUtc.Ticks}");
        }

        hash.AppendData(Encoding.UTF8.GetBytes(text.ToString()));
        hash.AppendData(MemoryMarshal.AsBytes(texts.Calibrated.Tokens.AsSpan()));
        hash.AppendData(MemoryMarshal.AsBytes(texts.Measured.Tokens.AsSpan()));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
