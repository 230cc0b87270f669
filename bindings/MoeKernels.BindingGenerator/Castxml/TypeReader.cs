using System.Xml.Linq;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>C# forms of C types. A type whose width or layout differs between targets has none.</summary>
internal sealed class TypeReader(CastxmlTree tree)
{
    /// <summary>Typedefs of the standard headers, which hide types of other widths elsewhere.</summary>
    private static readonly Dictionary<string, string> Standard = new()
    {
        ["int8_t"] = "sbyte",
        ["uint8_t"] = "byte",
        ["int16_t"] = "short",
        ["uint16_t"] = "ushort",
        ["int32_t"] = "int",
        ["uint32_t"] = "uint",
        ["int64_t"] = "long",
        ["uint64_t"] = "ulong",
        ["size_t"] = "nuint",
        ["intptr_t"] = "nint",
        ["uintptr_t"] = "nuint",
    };

    private static readonly Dictionary<string, string> Fundamental = new()
    {
        ["void"] = "void",
        ["char"] = "byte",
        ["signed char"] = "sbyte",
        ["unsigned char"] = "byte",
        ["float"] = "float",
        ["double"] = "double",
    };

    /// <summary>The C# type of an element's attribute.</summary>
    /// <param name="element">Field, argument, function or pointer.</param>
    /// <param name="attribute">Attribute that names the type.</param>
    /// <exception cref="NotSupportedException">There is no certain form; the message says what to write.</exception>
    public string Read(XElement element, string attribute = "type") => Form(tree.Follow(element, attribute));

    private string Form(XElement type)
    {
        string name = CastxmlTree.Text(type, "name");
        return type.Name.LocalName switch
        {
            "CvQualifiedType" or "ElaboratedType" => Read(type, "type"),
            "Typedef" when Standard.TryGetValue(name, out string? known) => known,
            "Typedef" when name == "wchar_t" => throw Without("wchar_t", "char with UTF-8"),
            "Typedef" => Read(type, "type"),
            "FundamentalType" => Fundamental.TryGetValue(name, out string? known)
                ? known : throw Without(name, "a type of <stdint.h>"),
            "Enumeration" or "Struct" or "Union" => name.Length > 0
                ? name : throw new NotSupportedException(
                    $"a {type.Name.LocalName.ToLowerInvariant()} without a name; give it a tag"),
            "PointerType" => Pointer(type),
            "ArrayType" => throw new NotSupportedException("an array of arrays; use one length"),
            _ => throw new NotSupportedException($"castxml's {type.Name.LocalName} has no C# form"),
        };
    }

    private string Pointer(XElement pointer)
    {
        var target = tree.Underlying(tree.Follow(pointer, "type"));
        if (target.Name.LocalName != "FunctionType")
            return Read(pointer, "type") + "*";

        if (target.Element("Ellipsis") is not null)
            throw new NotSupportedException("a callback with a variable number of arguments");

        var types = target.Elements("Argument").Select(argument => Read(argument)).Append(Read(target, "returns"));
        return $"delegate* unmanaged[Cdecl]<{string.Join(", ", types)}>";
    }

    private static NotSupportedException Without(string type, string instead) =>
        new($"type '{type}' has no fixed width; use {instead}");
}
