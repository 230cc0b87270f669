using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeKernels.Interop.Tests.Lifetimes;

/// <summary>The order in which native objects go, as the fake library writes it down.</summary>
[Collection(NativeLibraryCollection.Name)]
public sealed unsafe class HandleOrderTests
{
    private readonly nint fake;

    public HandleOrderTests()
    {
        fake = NativeLibrary.Load(NativeLibraries.RequireFake());
        Journal();
    }

    [Fact]
    public void Layer_OutlivesNothingItNeeds()
    {
        var context = new ContextHandle();
        var routed = new ExpertsHandle(context, default);
        var shared = new ExpertsHandle(context, default);
        var layer = new LayerHandle(context, routed, shared, default);
        context.Dispose();
        shared.Dispose();
        routed.Dispose();
        Assert.Equal("", Journal());
        layer.Dispose();
        Assert.Equal("layer experts experts context", Journal());
    }

    [Fact]
    public void Layer_IsMadeFromItsHandles()
    {
        using var context = new ContextHandle();
        using var routed = new ExpertsHandle(context, default);
        using var layer = new LayerHandle(context, routed, null, default);
        using var lease = layer.Lease();
        using var experts = routed.Lease();
        var madeFrom =
            (delegate* unmanaged[Cdecl]<moek_layer*, moek_experts*>)NativeLibrary.GetExport(fake, "fake_routed");
        Assert.True(madeFrom(lease.Pointer) == experts.Pointer);
    }

    [Fact]
    public void BorrowedMemory_OutlivesItsBorrower()
    {
        var context = new ContextHandle();
        var memory = new DeviceMemory(context, 8);
        var weights = new WeightsHandle(context, default, memory);
        memory.Dispose();
        context.Dispose();
        Assert.Equal("", Journal());
        weights.Dispose();
        Assert.Equal("weights memory context", Journal());
    }

    [Fact]
    public void EveryKind_IsFreedByItsOwnFunction()
    {
        using (var context = new ContextHandle())
        {
            new DeviceMemory(context, 1).Dispose();
            new HostMemory(context, 1).Dispose();
            new StreamHandle(context).Dispose();
            new EventHandle(context).Dispose();
            new WeightsHandle(context, default).Dispose();
            new ExpertsHandle(context, default).Dispose();
        }

        Assert.Equal("memory host stream event weights experts context", Journal());
    }

    [Fact]
    public void FailedCreation_LetsGoOfEverything()
    {
        var context = new ContextHandle();
        var memory = new DeviceMemory(context, 8);
        Fail(moek_status.MOEK_E_DATA, "code 200 of 128");
        var error = Assert.Throws<NativeDataException>(() => new WeightsHandle(context, default, memory));
        Assert.Equal("moek_weights_create: code 200 of 128 (MOEK_E_DATA)", error.Message);
        memory.Dispose();
        Assert.Equal("memory", Journal());
        context.Dispose();
        Assert.Equal("context", Journal());
    }

    [Fact]
    public void DisposedOwner_LetsGoOfTheOthers()
    {
        var context = new ContextHandle();
        var memory = new DeviceMemory(context, 8);
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new WeightsHandle(context, default, memory));
        context.Dispose();
        Assert.Equal("memory context", Journal());
    }

    [Fact]
    public void ForgottenHandles_GoChildrenFirst()
    {
        Forget();
        string journal = "";
        for (int i = 0; i < 10 && !journal.Contains("context", StringComparison.Ordinal); i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            journal = $"{journal} {Journal()}".Trim();
        }

        Assert.Equal("layer experts context", journal);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Forget()
        {
            var context = new ContextHandle();
            _ = new LayerHandle(context, new ExpertsHandle(context, default), null, default);
        }
    }

    [Fact]
    public void LongText_IsWhole()
    {
        string text = string.Concat(Enumerable.Range(0, 300).Select(i => $"ü{i} "));
        Fail(moek_status.MOEK_E_UNSUPPORTED, text);
        var error = Assert.Throws<NativeUnsupportedException>(() => new ContextHandle());
        Assert.Equal(text, error.Text);
    }

    private string Journal() => Marshal.PtrToStringUTF8(
        ((delegate* unmanaged[Cdecl]<nint>)NativeLibrary.GetExport(fake, "fake_journal"))())!.Trim();

    private void Fail(moek_status status, string text)
    {
        nint pointer = Marshal.StringToCoTaskMemUTF8(text);
        var fail = (delegate* unmanaged[Cdecl]<moek_status, nint, void>)NativeLibrary.GetExport(fake, "fake_fail");
        fail(status, pointer);
        Marshal.FreeCoTaskMem(pointer);
    }
}
