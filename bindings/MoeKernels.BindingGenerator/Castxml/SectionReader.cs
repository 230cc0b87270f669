using System.Xml.Linq;
using MoeKernels.BindingGenerator.Model;
using static MoeKernels.BindingGenerator.Castxml.CastxmlTree;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Reads the declarations of one header. What cannot be read becomes a problem and <see langword="null"/>.
/// </summary>
internal sealed class SectionReader(CastxmlTree tree, HeaderText text, string header, Problems problems)
{
    private readonly TypeReader types = new(tree);

    /// <summary>Reads an enumeration.</summary>
    public EnumType? Enum(XElement element)
    {
        string name = Text(element, "name");
        if (name.Length == 0)
            return Refuse<EnumType>(element, "an enum without a name; give it a tag");

        int line = int.Parse(Text(element, "line"), CultureInfo.InvariantCulture);
        var values = element.Elements("EnumValue").Select(value => Value(element, value, line)).OfType<EnumValue>();
        return new(name, [.. values], Documented(element, name));
    }

    private EnumValue? Value(XElement parent, XElement element, int from)
    {
        string name = Text(element, "name");
        if (!int.TryParse(Text(element, "init"), NumberStyles.Integer, CultureInfo.InvariantCulture, out int value))
            return Refuse<EnumValue>(parent, $"{name} does not fit into 32 bits with a sign");

        int line = text.LineOf(name, from);
        var comment = line == 0 ? Comment.None : text.CommentAbove(line);
        if (comment.Paragraphs.Count == 0)
            problems.Add(header, line == 0 ? from : line, $"{name} has no comment on the line above");

        return new(name, value, comment);
    }

    /// <summary>Reads a struct or union.</summary>
    public StructType? Struct(XElement element)
    {
        string name = Text(element, "name");
        bool union = element.Name.LocalName == "Union";
        if (name.Length == 0)
            return Refuse<StructType>(element, $"a {(union ? "union" : "struct")} without a name; give it a tag");

        // The comment of "typedef struct x x" belongs to the typedef.
        var named = tree.Declarations.FirstOrDefault(other =>
            other.Name.LocalName == "Typedef" && Text(other, "name") == name && tree.Underlying(other) == element);
        var comment = Documented(named ?? element, name);
        if (Text(element, "incomplete") == "1")
            return new(name, union, null, [], comment);

        var members = Text(element, "members").Split(' ', StringSplitOptions.RemoveEmptyEntries)
            .Select(id => tree[id]).Where(member => member.Name.LocalName == "Field").ToArray();
        if (members.Length == 0 || Bytes(element, "align") != members.Max(Alignment))
            return Refuse<StructType>(element, $"{name} is empty, packed or aligned by an attribute");

        var fields = members.Select(field => Field(field, name)).OfType<Field>();
        return new(name, union, Bytes(element, "size"), [.. fields], comment);
    }

    private int Alignment(XElement element)
    {
        var type = tree.Underlying(tree.Follow(element, "type"));
        return type.Name.LocalName == "ArrayType" ? Alignment(type) : Bytes(type, "align");
    }

    private Field? Field(XElement element, string owner)
    {
        string name = Text(element, "name");
        if (name.Length == 0)
            return Refuse<Field>(element, $"{owner} has a struct or union without a name; name it");
        if (Text(element, "bits").Length > 0)
            return Refuse<Field>(element, $"{owner}.{name} is a bit field; use flags");

        var array = tree.Underlying(tree.Follow(element, "type"));
        bool isArray = array.Name.LocalName == "ArrayType";
        string? type = Type(isArray ? array : element, "type", element, $"{owner}.{name}");
        if (type is null)
            return null;

        int length = 1;
        if (isArray && !int.TryParse(Text(array, "max"), CultureInfo.InvariantCulture, out length))
            return Refuse<Field>(element, $"{owner}.{name} has no length");
        if (isArray && !IsFixed(type))
            return Refuse<Field>(element, $"{owner}.{name} is an array of {type}; only numbers can be an array");

        return new(name, type, isArray ? length + 1 : null, Bytes(element, "offset"),
            Documented(element, $"{owner}.{name}"));
    }

    /// <summary>Reads a function.</summary>
    public Function? Function(XElement element)
    {
        string name = Text(element, "name");
        if (!name.StartsWith("moek_", StringComparison.Ordinal))
            return Refuse<Function>(element, $"{name} does not begin with moek_");
        if (element.Element("Ellipsis") is not null)
            return Refuse<Function>(element, $"{name} has a variable number of arguments");
        if (Text(element, "static") == "1" || Text(element, "inline") == "1")
            return Refuse<Function>(element, $"{name} is static or inline and so not exported");

        var parameters = element.Elements("Argument").Select(argument => Parameter(argument, element, name)).ToArray();
        string? returns = Type(element, "returns", element, name);
        var comment = Documented(element, name);
        foreach (var (parameter, _) in comment.Parameters)
        {
            if (!parameters.Any(known => known?.Name == parameter))
                problems.Add(header, element, $"the comment of {name} describes '{parameter}', which it does not have");
        }

        return returns is null || parameters.Contains(null) ? null : new(name, returns, parameters!, comment);
    }

    private Parameter? Parameter(XElement argument, XElement function, string owner)
    {
        string name = Text(argument, "name");
        if (name.Length == 0)
            return Refuse<Parameter>(function, $"{owner} has a parameter without a name");

        return Type(argument, "type", function, $"{owner}({name})") is { } type ? new(name, type) : null;
    }

    private string? Type(XElement element, string attribute, XElement place, string subject)
    {
        try
        {
            return types.Read(element, attribute);
        }
        catch (NotSupportedException e)
        {
            return Refuse<string>(place, $"{subject}: {e.Message}");
        }
    }

    private Comment Documented(XElement element, string subject)
    {
        var comment = Text(element, "comment").Length > 0
            ? text.CommentAt(tree.Follow(element, "comment")) : Comment.None;
        if (comment.Paragraphs.Count == 0)
            problems.Add(header, element, $"{subject} has no comment");

        return comment;
    }

    private T? Refuse<T>(XElement element, string problem)
        where T : class
    {
        problems.Add(header, element, problem);
        return null;
    }

    private static bool IsFixed(string type) =>
        type is "byte" or "sbyte" or "short" or "ushort" or "int" or "uint" or "long" or "ulong" or "float" or "double";
}
