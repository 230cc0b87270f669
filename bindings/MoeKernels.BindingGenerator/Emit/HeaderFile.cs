using MoeKernels.BindingGenerator.Model;
using static MoeKernels.BindingGenerator.Emit.Identifiers;

namespace MoeKernels.BindingGenerator.Emit;

/// <summary>The C# file of one header: enumerations, structs, then constants and functions in the class
/// <c>Moek</c>.</summary>
internal sealed class HeaderFile
{
    private readonly CodeWriter writer;
    private readonly DocComments docs;

    private HeaderFile(Header header, DocComments docs)
    {
        writer = new($"native/include/moek/{header.Name}.h");
        this.docs = docs;
    }

    /// <summary>Emits a header.</summary>
    /// <returns>Text of the file.</returns>
    public static string Emit(Header header, DocComments docs)
    {
        var file = new HeaderFile(header, docs);
        file.Preamble();
        foreach (var type in header.Enums)
            file.Enum(type);
        foreach (var type in header.Structs)
            file.Struct(type);
        file.Members(header);
        return file.writer.ToString();
    }

    private void Preamble()
    {
        writer.Line("// Parameters that mean the same in a group of functions are described at the first one only.");
        writer.Line("#pragma warning disable CS1573");
        writer.Line();
        writer.Line("using System.Runtime.CompilerServices;");
        writer.Line("using System.Runtime.InteropServices;");
        writer.Line();
        writer.Line("namespace MoeKernels.Interop;");
    }

    private void Enum(EnumType type)
    {
        writer.Line();
        docs.Write(writer, type.Comment);
        writer.Line($"public enum {type.Name}");
        writer.Open();
        foreach (var value in type.Values)
        {
            if (value != type.Values[0])
                writer.Line();
            docs.Write(writer, value.Comment);
            writer.Line($"{value.Name} = {value.Value.ToString(CultureInfo.InvariantCulture)},");
        }

        writer.Close();
    }

    private void Struct(StructType type)
    {
        writer.Line();
        docs.Write(writer, type.Comment);
        if (type.Bytes is not { } bytes)
        {
            writer.Line($"public readonly struct {type.Name};");
            return;
        }

        writer.Line($"[StructLayout(LayoutKind.{(type.IsUnion ? "Explicit" : "Sequential")}, Size = {bytes})]");
        writer.Line($"public unsafe struct {type.Name}");
        writer.Open();
        foreach (var field in type.Fields)
        {
            if (field != type.Fields[0])
                writer.Line();
            docs.Write(writer, field.Comment);
            if (type.IsUnion)
                writer.Line($"[FieldOffset({field.Offset})]");
            writer.Line(field.Length is { } length
                ? $"public fixed {field.Type} {Escaped(field.Name)}[{length}];"
                : $"public {field.Type} {Escaped(field.Name)};");
        }

        writer.Close();
    }

    private void Members(Header header)
    {
        if (header.Constants.Count + header.Functions.Count == 0)
            return;

        writer.Line();
        writer.Line("public static unsafe partial class Moek");
        writer.Open();
        bool first = true;
        foreach (var constant in header.Constants)
        {
            Separate(ref first);
            docs.Write(writer, constant.Comment);
            writer.Line($"public const {constant.Type} {constant.Name} = {constant.Value};");
        }

        foreach (var function in header.Functions)
        {
            Separate(ref first);
            docs.Write(writer, function.Comment, [.. function.Parameters.Select(parameter => parameter.Name)]);
            writer.Line($"[LibraryImport(Library, EntryPoint = \"{function.Name}\")]");
            writer.Line("[UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]");
            writer.List(
                $"public static partial {function.Returns} {function.Name}(",
                [.. function.Parameters.Select(parameter => $"{parameter.Type} {Escaped(parameter.Name)}")],
                ");");
        }

        writer.Close();
    }

    private void Separate(ref bool first)
    {
        if (!first)
            writer.Line();
        first = false;
    }
}
