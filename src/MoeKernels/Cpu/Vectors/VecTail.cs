using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeKernels.Cpu;

/// <summary>The last, partial step of a vector: nothing outside it is read or written.</summary>
internal static unsafe class VecTail
{
    private static ReadOnlySpan<int> Masks =>
    [
        -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    /// <summary>The first <paramref name="count"/> floats, then +0.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static T Load<T>(float* source, int count)
        where T : struct, IVec16<T>
    {
        float* lanes = stackalloc float[16];
        for (int i = 0; i < 16; i++)
            lanes[i] = i < count ? source[i] : 0;
        return T.Load(lanes);
    }

    /// <summary>Writes the first <paramref name="count"/> lanes.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static void Store<T>(T value, float* destination, int count)
        where T : struct, IVec16<T>
    {
        float* lanes = stackalloc float[16];
        T.Store(value, lanes);
        for (int i = 0; i < count; i++)
            destination[i] = lanes[i];
    }

    /// <summary>Ones in the first <paramref name="count"/> lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Mask<T>(int count)
        where T : struct, IVec16<T> =>
        T.Load((float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(Masks)) + 16 - count);
}
