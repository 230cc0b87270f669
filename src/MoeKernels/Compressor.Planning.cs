using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Families;
using MoeKernels.Planning;

namespace MoeKernels;

/// <content>Time and memory, before anything is compressed.</content>
public static partial class Compressor
{
    /// <summary>Predicts what <see cref="RunAsync"/> will take: from config and headers, and from how fast this machine
    /// does pieces of the work, which is tried out for some seconds. Of the weights only the attention and routers of
    /// one layer of each kind are read, and 32 MB to see how fast the files are.</summary>
    /// <param name="model">Folder of the dense model.</param>
    /// <param name="options">As for the run.</param>
    /// <param name="cancellationToken">Stops between measurements.</param>
    /// <remarks>A machine that is busy now, or will be then, takes longer than planned. A search for a divergence
    /// (<see cref="CompressOptions.MaxKl"/>) is planned as one coding at one bit per weight for each of three
    /// trials.</remarks>
    /// <inheritdoc cref="RunAsync" path="/exception"/>
    public static Task<CompressPlan> PlanAsync(
        string model, CompressOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        return Task.Run(() => PlanCore(model, options, cancellationToken), cancellationToken);
    }

    private static CompressPlan PlanCore(string model, CompressOptions options, CancellationToken cancellation)
    {
        using var folder = QmoeFolder.OpenModel(model);
        var description = FamilyRegistry.Describe(folder.Config);
        int[] ids = Encode(model, folder, options.Texts);
        using var pool = new WorkerPool(options.Threads);
        return CompressPlanner.Plan(folder, description, ids, pool, options, cancellation);
    }
}
