using System.Runtime.InteropServices;

namespace MoeKernels.Tests.Cpu;

/// <summary>Native floats between two zones of NaN: reading outside shows in results, writing outside fails the
/// test.</summary>
internal sealed unsafe class NativeFloats : IDisposable
{
    private const int Zone = 64;
    private readonly float* _memory;

    public NativeFloats(int count)
    {
        Count = count;
        _memory = (float*)NativeMemory.Alloc((nuint)(count + (2 * Zone)), sizeof(float));
        new Span<float>(_memory, count + (2 * Zone)).Fill(float.NaN);
    }

    public NativeFloats(ReadOnlySpan<float> values)
        : this(values.Length) => values.CopyTo(Span);

    public int Count { get; }

    public float* Pointer => _memory + Zone;

    public Span<float> Span => new(Pointer, Count);

    /// <summary>Copies rows of <paramref name="columns"/> out and checks that everything between them is still
    /// NaN.</summary>
    public float[] Rows(int rows, int columns, int stride)
    {
        float[] result = new float[rows * columns];
        for (int i = 0; i < Count; i++)
        {
            if (i / stride < rows && i % stride < columns)
                result[(i / stride * columns) + (i % stride)] = Pointer[i];
            else
                Assert.True(float.IsNaN(Pointer[i]), $"element {i} outside the rows was written");
        }

        return result;
    }

    public void Dispose()
    {
        for (int i = 0; i < Zone; i++)
            Assert.True(float.IsNaN(_memory[i]) && float.IsNaN(_memory[Zone + Count + i]), "written out of bounds");
        NativeMemory.Free(_memory);
    }
}
