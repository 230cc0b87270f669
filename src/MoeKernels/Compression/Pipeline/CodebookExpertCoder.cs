using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Codes experts by trained codebooks, one for all matrices of a kind.</summary>
/// <param name="choose">Option of a cell.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts.</param>
internal sealed class CodebookExpertCoder(
    Func<Cell, CodeOption> choose, int threads, CancellationToken cancellation) : IExpertCoder
{
    /// <inheritdoc/>
    public LayerFile Code(MoeSpec moe, NetworkCalibration network, LayerTensors tensors)
    {
        Cell[] cells = [.. StackWalk.Cells(moe, 0)];
        var options = cells.ToDictionary(cell => cell.Kind, Options);
        CompressedNetwork coded = new NetworkCompressor(network, options, threads, cancellation).Run();
        var errors = new Dictionary<string, double>();
        foreach (Cell cell in cells)
        {
            CodebookGroup group = coded.Of(cell.Kind);
            tensors.Add(cell.Stack, group.ToStack());
            errors[cell.Kind] = group.RelativeError;
        }

        return new LayerFile(network.Tokens.Counts, errors);
    }

    private CodebookOptions Options(Cell cell)
    {
        CodeOption option = choose(cell);
        return new CodebookOptions(option.Dimension, option.Stages);
    }
}
