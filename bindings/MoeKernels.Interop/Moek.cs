using System.Runtime.CompilerServices;

[assembly: DisableRuntimeMarshalling]

namespace MoeKernels.Interop;

/// <summary>The functions and constants of the native library, named as in its headers.</summary>
/// <remarks>Pointers are what the headers say; nothing is checked or converted on the way. The first call loads the
/// library and throws <see cref="NativeLoadException"/> where that fails.</remarks>
public static unsafe partial class Moek
{
    /// <summary>Name by which the declarations ask; <see cref="NativeRuntime"/> finds the file.</summary>
    internal const string Library = "moekernels";
}
