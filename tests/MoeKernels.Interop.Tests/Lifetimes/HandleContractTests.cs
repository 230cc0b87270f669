using System.Runtime.CompilerServices;

namespace MoeKernels.Interop.Tests.Lifetimes;

/// <summary>What handles promise with every library: freed once, not while somebody needs them, never used
/// after.</summary>
[Collection(NativeLibraryCollection.Name)]
public sealed class HandleContractTests
{
    private readonly CountingAllocator allocator = new();

    public HandleContractTests() => NativeLibraries.RequireAny();

    [Fact]
    public void Memory_DisposedTwice_IsFreedOnce()
    {
        using var context = allocator.Open();
        int before = allocator.Freed;
        var memory = new DeviceMemory(context, 100);
        Assert.Equal(100u, memory.Bytes);
        memory.Dispose();
        memory.Dispose();
        Assert.Equal(before + 1, allocator.Freed);
    }

    [Fact]
    public void Context_DisposedFirst_LivesUntilItsMemoryIsFreed()
    {
        var context = allocator.Open();
        var memory = new DeviceMemory(context, 64);
        context.Dispose();
        Assert.False(context.IsClosed);
        Assert.True(allocator.Living > 0);
        memory.Dispose();
        Assert.True(context.IsClosed);
        Assert.Equal(0, allocator.Living);
    }

    [Fact]
    public void ForgottenHandles_AreFreedByTheCollector()
    {
        Forget(allocator);
        for (int i = 0; i < 10 && allocator.Living > 0; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.Equal(0, allocator.Living);
        Assert.True(allocator.Freed >= 2);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Forget(CountingAllocator allocator)
        {
            var context = allocator.Open();
            _ = new DeviceMemory(context, 64);
            _ = new DeviceMemory(context, 64);
        }
    }

    [Fact]
    public void DisposedHandle_CannotBeUsed()
    {
        var context = allocator.Open();
        using var memory = new DeviceMemory(context, 64);
        context.Dispose();
        Assert.Throws<ObjectDisposedException>(() => new DeviceMemory(context, 64));
        Assert.Throws<ObjectDisposedException>(() => context.Lease().Dispose());
        memory.Dispose();
        Assert.Throws<ObjectDisposedException>(() => memory.Lease().Dispose());
    }

    [Fact]
    public unsafe void Lease_KeepsADisposedHandlesObject()
    {
        using var context = allocator.Open();
        var memory = new DeviceMemory(context, 64);
        int before = allocator.Freed;
        using (var lease = memory.Lease())
        {
            memory.Dispose();
            Assert.Equal(before, allocator.Freed);
            Assert.True(lease.Pointer != null);
        }

        Assert.Equal(before + 1, allocator.Freed);
    }

    [Fact]
    public unsafe void EmptyMemory_HasNoPointerAndHoldsNothingAfterDispose()
    {
        var context = allocator.Open();
        var memory = new DeviceMemory(context, 0);
        using (var lease = memory.Lease())
            Assert.True(lease.Pointer == null);

        context.Dispose();
        memory.Dispose();
        memory.Dispose();
        Assert.True(context.IsClosed);
    }

    [Fact]
    public void FailedAllocation_ThrowsAndLetsGoOfTheContext()
    {
        var context = allocator.Open();
        allocator.Exhaust();
        var error = Assert.Throws<NativeMemoryException>(() => new DeviceMemory(context, 64));
        Assert.Equal(moek_status.MOEK_E_MEMORY, error.Status);
        Assert.StartsWith($"moek_alloc: {error.Text}", error.Message, StringComparison.Ordinal);
        context.Dispose();
        Assert.True(context.IsClosed);
    }

    [Fact]
    public void MissingDevice_HasItsOwnException()
    {
        var error = Assert.Throws<NativeDeviceMissingException>(() => new ContextHandle(9999));
        Assert.NotEmpty(error.Text);
    }

    [Fact]
    public unsafe void StreamsEventsAndHostMemory_GoInAnyOrder()
    {
        var context = allocator.Open();
        var stream = new StreamHandle(context);
        var passed = new EventHandle(context);
        var host = new HostMemory(context, 16);
        context.Dispose();
        stream.Dispose();
        using (var lease = host.Lease())
            lease.Pointer[15] = 1;

        host.Dispose();
        Assert.False(context.IsClosed);
        passed.Dispose();
        Assert.True(context.IsClosed);
        Assert.Equal(0, allocator.Living);
    }

    [Fact]
    public void MissingContext_IsNamed()
    {
        Assert.Throws<ArgumentNullException>("context", () => new DeviceMemory(null!, 1));
        Assert.Throws<ArgumentNullException>("context", () => new StreamHandle(null!));
        Assert.Throws<ArgumentNullException>("context", () => new WeightsHandle(null!, default));
    }

    [Fact]
    public async Task DisposeDuringLeases_FreesOnce()
    {
        using var context = allocator.Open();
        int before = allocator.Freed;
        for (int round = 0; round < 200; round++)
        {
            var memory = new DeviceMemory(context, 64);
            var user = Task.Run(() => UseUntilDisposed(memory));
            memory.Dispose();
            await user;
        }

        Assert.Equal(before + 200, allocator.Freed);

        static unsafe void UseUntilDisposed(DeviceMemory memory)
        {
            try
            {
                while (true)
                {
                    using var lease = memory.Lease();
                    lease.Pointer[0]++;
                }
            }
            catch (ObjectDisposedException)
            {
            }
        }
    }
}
