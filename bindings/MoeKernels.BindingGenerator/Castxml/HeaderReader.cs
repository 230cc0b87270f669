using System.Xml.Linq;
using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Reads the public headers: one run of castxml over the header that includes all others.</summary>
internal sealed class HeaderReader
{
    private const string Umbrella = "moek.h";
    private readonly CastxmlTree tree;
    private readonly Problems problems = new();

    private HeaderReader(CastxmlTree tree) => this.tree = tree;

    /// <summary>Reads every header of a folder.</summary>
    /// <param name="folder">Folder of the headers; its <c>moek.h</c> includes all of them.</param>
    /// <returns>The headers by name.</returns>
    /// <exception cref="HeaderException">Something has no certain C# form, lacks a comment or does not
    /// compile.</exception>
    /// <exception cref="CastxmlMissingException">There is no castxml.</exception>
    public static IReadOnlyList<Header> ReadFolder(string folder)
    {
        string umbrella = Path.Combine(folder, Umbrella);
        if (!File.Exists(umbrella))
            throw new HeaderException([$"{umbrella} does not exist."]);

        var reader = new HeaderReader(new(CastxmlRunner.Parse(umbrella)));
        string[] paths = [.. Directory.GetFiles(folder, "*.h").Order(StringComparer.Ordinal)];
        Header[] headers = [.. paths.Select(reader.Read)];
        reader.problems.ThrowIfAny();
        return headers;
    }

    private Header Read(string path)
    {
        string file = Path.GetFileName(path);
        string full = Path.GetFullPath(path);
        var text = new HeaderText(path);
        var section = new SectionReader(tree, text, file, problems);
        var declarations = tree.Declarations
            .Where(element => element.Name.LocalName != "Comment" && Path.GetFullPath(tree.FileOf(element)) == full)
            .ToArray();
        var header = new Header(
            Path.GetFileNameWithoutExtension(path),
            MacroReader.Read(text, file, problems),
            Each(declarations, section.Enum, "Enumeration"),
            Each(declarations, section.Struct, "Struct", "Union"),
            Each(declarations, section.Function, "Function"));
        foreach (var variable in declarations.Where(element => element.Name.LocalName == "Variable"))
            problems.Add(file, variable, "variables cannot be bound; export a function");

        if (declarations.Length == 0 && file != Umbrella)
            problems.Add(file, 1, $"{Umbrella} does not include this header");

        return header;
    }

    private static T[] Each<T>(IEnumerable<XElement> elements, Func<XElement, T?> read, params string[] kinds)
        where T : class =>
        [.. elements.Where(element => kinds.Contains(element.Name.LocalName)).Select(read).OfType<T>()];
}
