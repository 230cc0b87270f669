using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>The few functions of llama.cpp's tensor library that running one operation needs, from the native files of
/// the package LLamaSharp.Backend.Cpu.</summary>
internal static unsafe partial class Ggml
{
    /// <summary>Element types as ggml numbers them.</summary>
    public const int F32 = 0, I32 = 26, BF16 = 30;

    private const string Base = "ggml-base";
    private const string Cpu = "ggml-cpu";

    static Ggml() => NativeLibrary.SetDllImportResolver(typeof(Ggml).Assembly, Resolve);

    /// <summary>Build of the package that fits this processor: <c>avx512</c>, <c>avx2</c>, <c>avx</c> or
    /// <c>noavx</c>.</summary>
    public static string Build =>
        Avx512F.IsSupported ? "avx512" : Avx2.IsSupported ? "avx2" : Avx.IsSupported ? "avx" : "noavx";

    /// <summary>Whether the package has files for this platform.</summary>
    public static bool IsAvailable => File.Exists(PathOf(Base)) && File.Exists(PathOf(Cpu));

    /// <summary>Version, and whether its kernels use the processor's bf16 instruction.</summary>
    public static string Description =>
        $"ggml {Marshal.PtrToStringUTF8(Version())}, {Build} build of LLamaSharp.Backend.Cpu, bf16 instructions "
        + (HasBf16() != 0 ? "used" : "not used");

    [LibraryImport(Base, EntryPoint = "ggml_version")]
    private static partial nint Version();

    [LibraryImport(Cpu, EntryPoint = "ggml_cpu_has_avx512_bf16")]
    private static partial int HasBf16();

    /// <summary>ggml_init: a pool of tensor descriptions.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_init")]
    public static partial nint CreateContext(ContextParameters parameters);

    [LibraryImport(Base, EntryPoint = "ggml_free")]
    public static partial void FreeContext(nint context);

    /// <summary>Extents fastest first.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_new_tensor_2d")]
    public static partial nint NewTensor(nint context, int type, long columns, long rows);

    /// <inheritdoc cref="NewTensor(nint, int, long, long)"/>
    [LibraryImport(Base, EntryPoint = "ggml_new_tensor_3d")]
    public static partial nint NewTensor(nint context, int type, long columns, long rows, long matrices);

    /// <summary>The mixture-of-experts product: result [rows, chosen, tokens] of the chosen matrices.</summary>
    /// <param name="context">Owner of the result's description.</param>
    /// <param name="matrices">[columns, rows, experts].</param>
    /// <param name="input">[columns, chosen or 1, tokens].</param>
    /// <param name="ids">[chosen, tokens], 32-bit integers.</param>
    [LibraryImport(Base, EntryPoint = "ggml_mul_mat_id")]
    public static partial nint MulMatId(nint context, nint matrices, nint input, nint ids);

    /// <summary><c>silu(gate) * up</c>.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_swiglu_split")]
    public static partial nint SwiGlu(nint context, nint gate, nint up);

    [LibraryImport(Base, EntryPoint = "ggml_new_graph")]
    public static partial nint NewGraph(nint context);

    [LibraryImport(Base, EntryPoint = "ggml_build_forward_expand")]
    public static partial void AddToGraph(nint graph, nint result);

    [LibraryImport(Base, EntryPoint = "ggml_get_data")]
    public static partial nint Data(nint tensor);

    /// <summary>A buffer over memory that the caller keeps.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_backend_cpu_buffer_from_ptr")]
    public static partial nint WrapMemory(void* memory, nuint bytes);

    [LibraryImport(Base, EntryPoint = "ggml_backend_tensor_alloc")]
    public static partial int Place(nint buffer, nint tensor, void* address);

    /// <summary>Memory for every tensor of the context that has none.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_backend_alloc_ctx_tensors")]
    public static partial nint AllocateTensors(nint context, nint backend);

    [LibraryImport(Base, EntryPoint = "ggml_backend_buffer_free")]
    public static partial void FreeBuffer(nint buffer);

    [LibraryImport(Cpu, EntryPoint = "ggml_backend_cpu_init")]
    public static partial nint CreateCpuBackend();

    [LibraryImport(Cpu, EntryPoint = "ggml_backend_cpu_set_n_threads")]
    public static partial void SetThreads(nint backend, int threads);

    /// <summary>Runs a graph; 0 is success.</summary>
    [LibraryImport(Base, EntryPoint = "ggml_backend_graph_compute")]
    public static partial int Compute(nint backend, nint graph);

    [LibraryImport(Base, EntryPoint = "ggml_backend_free")]
    public static partial void FreeBackend(nint backend);

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? searchPath) =>
        name is Base or Cpu ? NativeLibrary.Load(PathOf(name)) : nint.Zero;

    /// <summary>Where a native library of the package is.</summary>
    public static string PathOf(string name)
    {
        string file = OperatingSystem.IsWindows() ? $"{name}.dll"
            : OperatingSystem.IsMacOS() ? $"lib{name}.dylib"
            : $"lib{name}.so";
        return Path.Combine(AppContext.BaseDirectory, "llama", Build, file);
    }

    /// <summary>struct ggml_init_params.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct ContextParameters
    {
        public nuint Bytes;
        public nint Memory;
        public byte WithoutData;
    }
}
