namespace MoeKernels.Tests.Core;

public unsafe class NativeBufferTests
{
    [Theory]
    [InlineData(0, 64)]
    [InlineData(1, 64)]
    [InlineData(1000, 64)]
    [InlineData((4 << 20) - 1, 64)]
    [InlineData(4 << 20, 2 << 20)]
    [InlineData((5 << 20) + 3, 2 << 20)]
    public void Allocate_AnySize_IsAlignedAndWritable(int bytes, int alignment)
    {
        using NativeBuffer buffer = NativeBuffer.Allocate(bytes, "a test");
        Assert.Equal(bytes, buffer.ByteLength);
        Assert.Equal(0, (nint)buffer.Pointer % alignment);
        buffer.AsSpan<byte>().Fill(0xA5);
        Assert.DoesNotContain((byte)0, buffer.AsSpan<byte>().ToArray());
    }

    [Fact]
    public void AllocateZeroed_AnySize_IsZero()
    {
        using NativeBuffer buffer = NativeBuffer.AllocateZeroed(10_001, "a test");
        Assert.False(buffer.AsSpan<byte>().ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void Allocate_MoreThanThereIs_IsATypedError()
    {
        var error = Assert.Throws<MoeOutOfMemoryException>(
            () => NativeBuffer.Allocate(long.MaxValue / 2, "the KV cache"));
        Assert.Contains("the KV cache", error.Message, StringComparison.Ordinal);
        Assert.Equal(long.MaxValue / 2, error.Bytes);
        Assert.Throws<ArgumentOutOfRangeException>(() => NativeBuffer.Allocate(-1, "nothing"));
    }

    [Fact]
    public void Buffer_AfterDispose_ThrowsAndDisposeIsIdempotent()
    {
        NativeBuffer buffer = NativeBuffer.Allocate(10, "a test");
        buffer.Dispose();
        buffer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => { _ = buffer.Pointer[0]; });
        Assert.Throws<ObjectDisposedException>(() => buffer.AsSpan<byte>().Length);
    }
}
