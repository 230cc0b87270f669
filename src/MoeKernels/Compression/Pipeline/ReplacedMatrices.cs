using MoeKernels.Formats;
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
    public static ReplacedMatrices Open(string path)
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

            return replaced;
        }
        catch
        {
            replaced.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _owned.ForEach(owned => owned.Dispose());
}
