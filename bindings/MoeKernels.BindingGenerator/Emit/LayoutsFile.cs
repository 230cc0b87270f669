using MoeKernels.BindingGenerator.Model;
using static MoeKernels.BindingGenerator.Emit.Identifiers;

namespace MoeKernels.BindingGenerator.Emit;

/// <summary>The table by which the tests compare the C compiler's layout with the one of .NET.</summary>
internal static class LayoutsFile
{
    /// <summary>Emits a row for every struct and field: in C from castxml, in C# measured where it runs.</summary>
    public static string Emit(IReadOnlyList<Header> headers)
    {
        var types = headers.SelectMany(header => header.Structs).Where(type => type.Bytes is not null).ToArray();
        var writer = new CodeWriter("native/include/moek");
        writer.Line();
        writer.Line("namespace MoeKernels.Interop.Tests;");
        writer.Line();
        writer.Line("/// <summary>Size and field offsets of every struct in C and in C#.</summary>");
        writer.Line("internal static unsafe class Layouts");
        writer.Open();
        writer.Line("public static TypeLayout[] All() =>");
        writer.Line("[");
        foreach (var type in types)
            writer.Line($"    Layout_{type.Name}(),");
        writer.Line("];");
        foreach (var type in types)
            Type(writer, type);
        writer.Close();
        return writer.ToString();
    }

    private static void Type(CodeWriter writer, StructType type)
    {
        writer.Line();
        writer.Line($"private static TypeLayout Layout_{type.Name}()");
        writer.Open();
        writer.Line($"{type.Name} value = default;");
        writer.Line("byte* start = (byte*)&value;");
        writer.Line($"return new(\"{type.Name}\", {type.Bytes}, sizeof({type.Name}),");
        writer.Line("[");
        foreach (var field in type.Fields)
        {
            string address = $"&value.{Escaped(field.Name)}{(field.Length is null ? "" : "[0]")}";
            writer.Line($"    new(\"{field.Name}\", {field.Offset}, (int)((byte*){address} - start)),");
        }

        writer.Line("]);");
        writer.Close();
    }
}
