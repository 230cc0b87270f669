namespace MoeKernels.BindingGenerator.Model;

/// <summary>One public header.</summary>
/// <param name="Name">File name without folder and ending, for example <c>core</c>.</param>
/// <param name="Constants">Numeric macros, in the header's order, as all that follow.</param>
/// <param name="Enums">Enumerations.</param>
/// <param name="Structs">Structs and unions, opaque ones included.</param>
/// <param name="Functions">Exported functions.</param>
internal sealed record Header(
    string Name,
    IReadOnlyList<Constant> Constants,
    IReadOnlyList<EnumType> Enums,
    IReadOnlyList<StructType> Structs,
    IReadOnlyList<Function> Functions)
{
    /// <summary>Whether the header declares something itself; the one that includes all others does not.</summary>
    public bool HasDeclarations => Constants.Count + Enums.Count + Structs.Count + Functions.Count > 0;
}

/// <summary>A macro that is a number.</summary>
/// <param name="Name">Name in C.</param>
/// <param name="Type">C# type of the literal.</param>
/// <param name="Value">The literal in C#.</param>
/// <param name="Comment">Comment above it.</param>
internal sealed record Constant(string Name, string Type, string Value, Comment Comment);

/// <summary>An enumeration whose values fit into an <c>int</c>.</summary>
internal sealed record EnumType(string Name, IReadOnlyList<EnumValue> Values, Comment Comment);

/// <summary>One value of an enumeration.</summary>
internal sealed record EnumValue(string Name, int Value, Comment Comment);

/// <summary>A struct or union.</summary>
/// <param name="Name">Tag in C.</param>
/// <param name="IsUnion">Whether all fields begin at 0.</param>
/// <param name="Bytes">Size, or <see langword="null"/> for an opaque struct.</param>
/// <param name="Fields">Fields in memory order; none for an opaque struct.</param>
/// <param name="Comment">Comment above it.</param>
internal sealed record StructType(
    string Name, bool IsUnion, int? Bytes, IReadOnlyList<Field> Fields, Comment Comment);

/// <summary>A field.</summary>
/// <param name="Name">Name in C.</param>
/// <param name="Type">C# type of the field, of one element for an array.</param>
/// <param name="Length">Elements of an array, or <see langword="null"/> for a single value.</param>
/// <param name="Offset">Bytes from the start of the struct.</param>
/// <param name="Comment">Comment above it.</param>
internal sealed record Field(string Name, string Type, int? Length, int Offset, Comment Comment);

/// <summary>An exported function.</summary>
internal sealed record Function(
    string Name, string Returns, IReadOnlyList<Parameter> Parameters, Comment Comment);

/// <summary>A parameter with its C# type.</summary>
internal sealed record Parameter(string Name, string Type);
