using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Codes one layer after the other and writes its file; layers whose file is there are read instead.</summary>
/// <param name="run">The run.</param>
/// <param name="total">Layers to code.</param>
internal sealed class LayerCoder(CompressionRun run, int total)
{
    private int _next;

    /// <summary>Codes a layer.</summary>
    /// <param name="moe">The layer.</param>
    /// <param name="calibrate">Makes what the text says about it.</param>
    /// <param name="threads">Experts at a time.</param>
    /// <param name="cancellation">Stops between experts.</param>
    /// <returns>The coded matrices.</returns>
    public ReplacedMatrices Code(
        MoeSpec moe, Func<NetworkCalibration> calibrate, int threads, CancellationToken cancellation)
    {
        string path = run.LayerPath(_next++);
        if (!File.Exists(path))
            Write(path, moe, calibrate(), threads, cancellation);
        run.Layers.Add(LayerFile.Read(path));
        run.Report(Stopwatches.Coding, _next, total);
        return ReplacedMatrices.Open(path, StackWalk.Cells(moe, 0).Select(cell => cell.Stack));
    }

    private void Write(
        string path, MoeSpec moe, NetworkCalibration network, int threads, CancellationToken cancellation)
    {
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        var options = cells.ToDictionary(cell => cell.Kind, Options);
        CompressedNetwork coded = new NetworkCompressor(network, options, threads, cancellation).Run();
        var stacks = new Dictionary<string, CodebookStack>();
        var errors = new Dictionary<string, double>();
        try
        {
            foreach (Cell cell in cells)
            {
                CodebookGroup group = coded.Of(cell.Kind);
                stacks[cell.Stack] = group.ToStack();
                errors[cell.Kind] = group.RelativeError;
            }

            ExpertTokens tokens = network.Tokens;
            long[] counts = [.. Enumerable.Range(0, tokens.Experts).Select(e => (long)tokens.Of(e).Length)];
            new LayerFile(counts, errors).Save(path, stacks, cancellation);
        }
        finally
        {
            foreach (CodebookStack stack in stacks.Values)
                stack.Dispose();
        }
    }

    private CodebookOptions Options(Cell cell)
    {
        CodeOption option = run.Choice(cell);
        return new CodebookOptions(option.Dimension, option.Stages);
    }
}
