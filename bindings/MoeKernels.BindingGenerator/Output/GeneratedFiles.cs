using MoeKernels.BindingGenerator.Emit;
using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Output;

/// <summary>All generated files of a checkout, by path.</summary>
internal sealed class GeneratedFiles
{
    private const string Pattern = "*.g.cs";
    private static readonly string Bindings = Path.Combine("bindings", "MoeKernels.Interop", "Generated");
    private static readonly string Tests = Path.Combine("tests", "MoeKernels.Interop.Tests", "Generated");
    private readonly string root;
    private readonly SortedDictionary<string, string> texts = new(StringComparer.Ordinal);

    /// <summary>Makes the texts.</summary>
    /// <param name="root">Root of the checkout.</param>
    /// <param name="headers">All public headers.</param>
    public GeneratedFiles(string root, IReadOnlyList<Header> headers)
    {
        this.root = root;
        var docs = new DocComments(headers);
        foreach (var header in headers.Where(header => header.HasDeclarations))
        {
            string name = char.ToUpperInvariant(header.Name[0]) + header.Name[1..];
            texts[Path.Combine(Bindings, name + ".g.cs")] = HeaderFile.Emit(header, docs);
        }

        texts[Path.Combine(Bindings, "EntryPoints.g.cs")] = EntryPointsFile.Emit(headers);
        texts[Path.Combine(Tests, "Layouts.g.cs")] = LayoutsFile.Emit(headers);
    }

    /// <summary>Number of files.</summary>
    public int Count => texts.Count;

    /// <summary>Writes what differs and deletes generated files that have no header any more.</summary>
    public void Write()
    {
        foreach (var (path, text) in texts)
        {
            string full = Path.Combine(root, path);
            Directory.CreateDirectory(Path.GetDirectoryName(full)!);
            if (!File.Exists(full) || File.ReadAllText(full) != text)
                File.WriteAllText(full, text);
        }

        foreach (string path in Superfluous())
            File.Delete(Path.Combine(root, path));
    }

    /// <summary>Compares with the files on disk.</summary>
    /// <returns>A readable difference for each file that is not as it should be.</returns>
    public IEnumerable<string> Differences()
    {
        foreach (var (path, text) in texts)
        {
            string full = Path.Combine(root, path);
            if (!File.Exists(full))
                yield return $"{path} is missing.";
            else if (Difference.Between(File.ReadAllText(full).ReplaceLineEndings("\n"), text) is { } difference)
                yield return $"{path} {difference}";
        }

        foreach (string path in Superfluous())
            yield return $"{path} belongs to no header.";
    }

    private IEnumerable<string> Superfluous() =>
        from folder in new[] { Bindings, Tests }
        let full = Path.Combine(root, folder)
        where Directory.Exists(full)
        from file in Directory.GetFiles(full, Pattern).Order(StringComparer.Ordinal)
        let path = Path.GetRelativePath(root, file)
        where !texts.ContainsKey(path)
        select path;
}
