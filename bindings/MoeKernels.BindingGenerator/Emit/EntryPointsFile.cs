using MoeKernels.BindingGenerator.Model;

namespace MoeKernels.BindingGenerator.Emit;

/// <summary>The names that a native library must export.</summary>
internal static class EntryPointsFile
{
    /// <summary>Emits the list, sorted.</summary>
    public static string Emit(IReadOnlyList<Header> headers)
    {
        var writer = new CodeWriter("native/include/moek");
        writer.Line();
        writer.Line("namespace MoeKernels.Interop;");
        writer.Line();
        writer.Line("/// <summary>Every function of the headers, which a native library must export.</summary>");
        writer.Line("internal static class EntryPoints");
        writer.Open();
        writer.Line("/// <summary>Their names, sorted.</summary>");
        writer.Line("public static IReadOnlyList<string> Names { get; } =");
        writer.Line("[");
        foreach (string name in headers.SelectMany(header => header.Functions).Select(function => function.Name)
            .Order(StringComparer.Ordinal))
        {
            writer.Line($"    \"{name}\",");
        }

        writer.Line("];");
        writer.Close();
        return writer.ToString();
    }
}
