using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Loading;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Coded matrices of one file, by the name of their stack, in place of a model's own.</summary>
internal sealed class ReplacedMatrices : IDisposable
{
    private readonly Dictionary<string, WeightMatrix[]> _matrices = new(StringComparer.Ordinal);
    private readonly List<IDisposable> _owned = [];

    /// <summary>Views of all matrices; valid until this is disposed.</summary>
    public IReadOnlyDictionary<string, WeightMatrix[]> Views => _matrices;

    /// <summary>Maps a file and views all of its stacks.</summary>
    /// <exception cref="MoeFormatException">The file is damaged.</exception>
    /// <param name="path">The file.</param>
    /// <param name="moe">The layer whose experts it holds; null where it holds none.</param>
    public static ReplacedMatrices Open(string path, MoeSpec? moe = null)
    {
        var replaced = new ReplacedMatrices();
        try
        {
            Checkpoint checkpoint = Checkpoint.OpenFile(path);
            replaced._owned.Add(checkpoint);
            foreach (string name in CodebookTensors.StacksOf(checkpoint))
            {
                replaced._matrices[name] = CodebookTensors.Read(
                    checkpoint, name, out IReadOnlyList<Codebook> codebooks);
                replaced._owned.AddRange(codebooks);
            }

            foreach (string name in IntegerTensors.StacksOf(checkpoint))
                replaced._matrices[name] = IntegerTensors.Read(checkpoint, name);
            if (moe is not null)
                replaced.AddCodewords(checkpoint, moe);
            return replaced;
        }
        catch
        {
            replaced.Dispose();
            throw;
        }
    }

    /// <summary>Turns codewords into tiles: their names and sizes are the layer's to know.</summary>
    private void AddCodewords(Checkpoint checkpoint, MoeSpec moe)
    {
        var memory = new ModelMemory(new Unowned());
        _owned.Add(memory);
        var binder = new TernaryBinder(checkpoint, memory, exact: false);
        foreach (Cell cell in StackWalk.Cells(moe, 0))
        {
            TensorName[] names = [.. Enumerable.Range(0, cell.Count).Select(
                e => moe.Experts.Expert(e, cell.Name(moe.Experts)))];
            if (binder.Has(names[0]))
                _matrices[cell.Stack] = binder.Convert(names, cell.Rows, cell.Columns);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.ForEach(owned => owned.Dispose());
}
