using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels;

/// <summary>
/// Folders of QMoE (arXiv 2310.16795), whose experts are below one bit per weight: the authors' torch files
/// (<c>noexp.pt</c>, <c>expNN.pt</c>, <c>sizes.pt</c>) to safetensors and back, without loss. Both kinds load as they
/// are.
/// </summary>
public static class QmoeFolder
{
    /// <summary>Whether a folder looks like one that QMoE's authors publish.</summary>
    /// <param name="path">Path of the folder.</param>
    public static bool IsCheckpoint(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return QmoeFiles.Covers(path);
    }

    /// <summary>Converts the authors' torch files to safetensors with the same codewords, and
    /// <c>qmoe.json</c>.</summary>
    /// <param name="source">The authors' folder.</param>
    /// <param name="target">A new or empty folder; it appears whole or not at all.</param>
    /// <param name="progress">Told each file before it is read.</param>
    /// <param name="cancellationToken">Checked between matrices; nothing stays behind.</param>
    /// <exception cref="MoeFormatException">A file is missing, damaged or contradicts another.</exception>
    /// <exception cref="MoeUnsupportedException">A file uses what the restricted reader refuses.</exception>
    /// <exception cref="MoeException">The target is not empty or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static Task ImportAsync(
        string source, string target, IProgress<string>? progress = null,
        CancellationToken cancellationToken = default) =>
        ConvertAsync(QmoeConversion.Import, source, target, progress, cancellationToken);

    /// <summary>Converts safetensors with QMoE's codewords to the authors' torch files. Of an imported folder it gives
    /// back the same bytes, where those files were as torch and this library write them.</summary>
    /// <param name="source">A folder with QMoE's codewords as tensors.</param>
    /// <param name="target">A new or empty folder; it appears whole or not at all.</param>
    /// <param name="progress">Told each file before it is written.</param>
    /// <param name="cancellationToken">Checked between matrices; nothing stays behind.</param>
    /// <inheritdoc cref="ImportAsync" path="/exception"/>
    public static Task ExportAsync(
        string source, string target, IProgress<string>? progress = null,
        CancellationToken cancellationToken = default) =>
        ConvertAsync(QmoeConversion.Export, source, target, progress, cancellationToken);

    /// <summary>Opens a model folder with the weights in either form.</summary>
    internal static ModelFolder OpenModel(string path)
    {
        // Read for its checks: codewords of another dictionary would be valid and wrong.
        _ = QmoeManifest.Read(path);
        return ModelFolder.Open(path, IsCheckpoint(path) ? QmoeFiles.Map : null);
    }

    private static async Task ConvertAsync(
        Action<string, string, Action<string>, CancellationToken> convert, string source, string target,
        IProgress<string>? progress, CancellationToken cancellation)
    {
        ArgumentException.ThrowIfNullOrEmpty(source);
        ArgumentException.ThrowIfNullOrEmpty(target);
        if (!Directory.Exists(source))
            throw new MoeFormatException(source, null, "no such folder");
        await Task.Run(
            () => NewFolder.Create(
                target, folder => convert(source, folder, file => progress?.Report(file), cancellation)),
            cancellation).ConfigureAwait(false);
    }
}
