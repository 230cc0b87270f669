using System.Xml.Linq;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>castxml's elements, which name each other by ids.</summary>
internal sealed class CastxmlTree
{
    private readonly Dictionary<string, XElement> elements;

    /// <summary>Indexes the document.</summary>
    /// <param name="root">Its root element.</param>
    public CastxmlTree(XElement root)
    {
        elements = root.Elements().Where(element => element.Attribute("id") is not null)
            .ToDictionary(element => element.Attribute("id")!.Value);
        Declarations = [.. root.Elements().Where(element => element.Attribute("file") is not null)];
    }

    /// <summary>Every element with a place in a file, in the order of the sources.</summary>
    public IReadOnlyList<XElement> Declarations { get; }

    /// <summary>The element of an id.</summary>
    public XElement this[string id] => elements[id];

    /// <summary>The element that an attribute of another one names.</summary>
    public XElement Follow(XElement element, string attribute) => elements[Text(element, attribute)];

    /// <summary>Path of the file that an element stands in.</summary>
    public string FileOf(XElement element) => Text(Follow(element, "file"), "name");

    /// <summary>The type of an element behind typedefs, qualifiers and elaborations.</summary>
    public XElement Underlying(XElement type)
    {
        while (type.Name.LocalName is "Typedef" or "CvQualifiedType" or "ElaboratedType")
            type = Follow(type, "type");

        return type;
    }

    /// <summary>An attribute, or the empty string.</summary>
    public static string Text(XElement element, string attribute) => element.Attribute(attribute)?.Value ?? "";

    /// <summary>A size or offset that castxml gives in bits, in bytes.</summary>
    public static int Bytes(XElement element, string attribute) =>
        int.Parse(Text(element, attribute), CultureInfo.InvariantCulture) / 8;
}
