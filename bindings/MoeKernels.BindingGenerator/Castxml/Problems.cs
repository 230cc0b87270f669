using System.Xml.Linq;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Collects what is wrong with the headers, so that one run shows all of it.</summary>
internal sealed class Problems
{
    private readonly List<(string Header, int Line, string Text)> found = [];

    /// <summary>Notes a problem at an element.</summary>
    public void Add(string header, XElement element, string text) =>
        Add(header, int.Parse(CastxmlTree.Text(element, "line"), CultureInfo.InvariantCulture), text);

    /// <summary>Notes a problem at a line.</summary>
    public void Add(string header, int line, string text) => found.Add((header, line, text));

    /// <summary>Ends the run if there was a problem.</summary>
    /// <exception cref="HeaderException">There was one.</exception>
    public void ThrowIfAny()
    {
        if (found.Count > 0)
        {
            throw new HeaderException(
                [.. found.Distinct().Order().Select(problem => $"{problem.Header}:{problem.Line}: {problem.Text}")]);
        }
    }
}
