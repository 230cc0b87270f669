namespace MoeKernels.Interop;

/// <summary>An opened and checked native library. It stays open: handles may outlive everything else.</summary>
/// <param name="Address">The system's handle.</param>
/// <param name="Path">Full path of the file.</param>
/// <param name="Version">Its version as text.</param>
/// <param name="Abi">Its binary interface.</param>
internal sealed record LoadedLibrary(nint Address, string Path, string Version, NativeAbi Abi);
