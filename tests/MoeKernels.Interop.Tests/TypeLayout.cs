namespace MoeKernels.Interop.Tests;

/// <summary>A struct's size in C and here, and its fields.</summary>
internal sealed record TypeLayout(string Name, int NativeBytes, int ManagedBytes, FieldLayout[] Fields);

/// <summary>A field's offset in C and here, in bytes.</summary>
internal sealed record FieldLayout(string Name, int NativeOffset, int ManagedOffset);
