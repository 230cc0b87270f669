// Loads the consumer and its packages into a context of their own, as a host of plug-ins does, and runs it.
using System.Reflection;
using System.Runtime.Loader;

string path = Path.GetFullPath(args[0]);
var context = new PluginContext(path);
var entry = context.LoadFromAssemblyPath(path).EntryPoint!;
object? result = entry.Invoke(null, [args[1..]]);
return result is Task<int> task ? await task : result as int? ?? 0;

internal sealed class PluginContext(string path) : AssemblyLoadContext("plugin", isCollectible: false)
{
    private readonly AssemblyDependencyResolver _resolver = new(path);

    protected override Assembly? Load(AssemblyName name) =>
        _resolver.ResolveAssemblyToPath(name) is { } found ? LoadFromAssemblyPath(found) : null;

    protected override nint LoadUnmanagedDll(string name) =>
        _resolver.ResolveUnmanagedDllToPath(name) is { } found ? LoadUnmanagedDllFromPath(found) : 0;
}
