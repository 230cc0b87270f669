using System.Reflection;

namespace MoeKernels.Interop.Tests;

/// <summary>Structs lie in memory as the C compiler lays them out.</summary>
public class LayoutTests
{
    [Fact]
    public void Structs_LieAsInC() => Assert.All(Layouts.All(), type =>
    {
        Assert.Equal((type.Name, type.NativeBytes), (type.Name, type.ManagedBytes));
        Assert.All(type.Fields, field => Assert.Equal(field.NativeOffset, field.ManagedOffset));
    });

    [Fact]
    public void Table_HoldsEveryStructAndField()
    {
        var bound = typeof(Moek).Assembly.GetExportedTypes()
            .Where(type => type.IsValueType && !type.IsEnum && type.Name.StartsWith("moek_", StringComparison.Ordinal))
            .Select(type => (type.Name, Fields: FieldsOf(type).Order().ToArray()))
            .Where(type => type.Fields.Length > 0)
            .ToDictionary(type => type.Name, type => type.Fields);
        var table = Layouts.All().ToDictionary(
            type => type.Name, type => type.Fields.Select(field => field.Name).Order().ToArray());
        Assert.NotEmpty(table);
        Assert.Equal(bound.Keys.Order(), table.Keys.Order());
        Assert.All(bound, type => Assert.Equal(type.Value, table[type.Key]));
    }

    [Fact]
    public void Structs_BeginWithTheirSize() => Assert.All(Layouts.All(), type =>
        Assert.Equal(("struct_size", 0), (type.Fields[0].Name, type.Fields[0].ManagedOffset)));

    private static IEnumerable<string> FieldsOf(Type type) =>
        type.GetFields(BindingFlags.Public | BindingFlags.Instance).Select(field => field.Name);
}
