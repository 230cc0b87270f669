using MoeKernels.Cpu;

namespace MoeKernels.Benchmarks;

/// <summary>Many matrices of one shape with random bf16 or fp32 weights, more bytes than any cache holds.</summary>
internal sealed unsafe class RotatingMatrices : IDisposable
{
    private readonly NativeBuffer _memory;
    private readonly NativeBuffer _views;

    public RotatingMatrices(WeightFormat format, int rows, int columns, long minBytes = 288L << 20)
    {
        int elementBytes = format == WeightFormat.F32 ? 4 : 2;
        long bytes = (long)rows * columns * elementBytes;
        Count = (int)((minBytes + bytes - 1) / bytes);
        TotalBytes = bytes * Count;
        _memory = NativeBuffer.Allocate(TotalBytes, "benchmark weights");
        _views = NativeBuffer.Allocate(Count * sizeof(WeightMatrix), "benchmark weights");
        Fill(_memory.Pointer, TotalBytes / elementBytes, format);
        for (int i = 0; i < Count; i++)
            Views[i] = new WeightMatrix(format, _memory.Pointer + (i * bytes), rows, columns, columns * elementBytes);
    }

    public int Count { get; }

    public long TotalBytes { get; }

    public byte* Memory => _memory.Pointer;

    public WeightMatrix* Views => (WeightMatrix*)_views.Pointer;

    public void Dispose()
    {
        _memory.Dispose();
        _views.Dispose();
    }

    private static void Fill(byte* memory, long count, WeightFormat format)
    {
        ulong state = 88172645463325252;
        for (long i = 0; i < count; i++)
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            float value = ((state >> 40) * (1f / (1 << 24))) - 0.5f;
            if (format == WeightFormat.F32)
                ((float*)memory)[i] = value;
            else
                ((ushort*)memory)[i] = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
        }
    }
}
