using System.Reflection;
using System.Runtime.Loader;

namespace MoeKernels.Interop.Tests.Loading;

/// <summary>The process's library through the public class: what a program sees with and without one.</summary>
[Collection(NativeLibraryCollection.Name)]
public class NativeRuntimeTests
{
    [Fact]
    public void Library_IsDescribed()
    {
        NativeLibraries.RequireAny();
        Assert.True(NativeRuntime.TryLoad(out string? reason), reason);
        Assert.Null(reason);
        Assert.True(File.Exists(NativeRuntime.Path));
        Assert.NotEmpty(NativeRuntime.Version);
        Assert.True(NativeRuntime.Abi.Serves(NativeAbi.Bound));
        Assert.Equal(NativeRuntime.Abi, NativeAbi.FromNumber(Moek.moek_abi()));
    }

    [Fact]
    public void WithoutLibrary_EveryWayInGivesTheSameCodedError()
    {
        // A second copy of the assembly has its own first call.
        string? before = Environment.GetEnvironmentVariable("MOEK_NATIVE");
        try
        {
            Environment.SetEnvironmentVariable("MOEK_NATIVE", "/nonexistent/libmoekernels.so");
            var copy = new AssemblyLoadContext("without library").LoadFromAssemblyPath(typeof(Moek).Assembly.Location);
            object?[] arguments = [null];
            Assert.Equal(false, Call(copy, nameof(NativeRuntime), nameof(NativeRuntime.TryLoad), arguments));
            string reason = Assert.IsType<string>(arguments[0]);
            Assert.StartsWith("MOEK1002: ", reason, StringComparison.Ordinal);
            AssertFails(() => Call(copy, nameof(Moek), nameof(Moek.moek_abi)), reason);
            AssertFails(() => Call(copy, nameof(Moek), nameof(Moek.moek_abi)), reason);
            AssertFails(() => Call(copy, nameof(NativeRuntime), $"get_{nameof(NativeRuntime.Path)}"), reason);
        }
        finally
        {
            Environment.SetEnvironmentVariable("MOEK_NATIVE", before);
        }
    }

    private static object? Call(Assembly assembly, string type, string method, params object?[] arguments) =>
        assembly.GetType($"MoeKernels.Interop.{type}")!.GetMethod(method)!.Invoke(null, arguments);

    private static void AssertFails(Action action, string reason)
    {
        var error = Assert.Throws<TargetInvocationException>(action).InnerException;
        Assert.IsType<DllNotFoundException>(error, exactMatch: false);
        Assert.Equal(nameof(NativeLoadException), error.GetType().Name);
        Assert.Equal(reason, error.Message);
    }
}
