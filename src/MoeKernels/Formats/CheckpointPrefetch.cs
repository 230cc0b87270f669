namespace MoeKernels.Formats;

/// <content>Reading ahead.</content>
public sealed partial class Checkpoint
{
    /// <summary>Reads tensors from disk and maps their pages, so that the first pass does not wait for them.</summary>
    /// <remarks>
    /// Copies nothing: memory in use afterwards is the pages of the tensors, large ones where the system can. Several
    /// threads read pieces of 8 MiB in parallel; cancellation is seen between pieces.
    /// </remarks>
    /// <param name="names">Tensors to read; null reads all.</param>
    /// <param name="progress">Told the bytes read after each piece, in growing order.</param>
    /// <param name="cancellationToken">Stops between two pieces.</param>
    /// <exception cref="MoeFormatException">A tensor is missing, or the disk cannot deliver a page.</exception>
    /// <exception cref="ObjectDisposedException">The checkpoint was disposed.</exception>
    public async Task PrefetchAsync(
        IReadOnlyCollection<string>? names = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        _lifetime.ThrowIfDisposed();
        UseHugePages();
        IEnumerable<Tensor> tensors = names is null ? _tensors.Values : names.Distinct().Select(Get);
        var prefetch = new Prefetch(tensors, progress);
        await prefetch.RunAsync(_lifetime, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks for large pages for all that will be read. What is in the page cache already stays as it is, so
    /// this comes before the first tensor is touched.</summary>
    internal void UseHugePages() => Array.ForEach(_files, file => file.UseHugePages());
}
