using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>A function of one lane.</summary>
internal interface IMap1
{
    /// <summary>Applies it to sixteen lanes.</summary>
    T Invoke<T>(T x)
        where T : struct, IVec16<T>;
}

/// <summary>A function of two lanes.</summary>
internal interface IMap2
{
    /// <summary>Applies it to sixteen lanes each.</summary>
    T Invoke<T>(T a, T b)
        where T : struct, IVec16<T>;
}

/// <summary>The loops over one and two operands; destinations may be sources.</summary>
internal static unsafe class Elementwise
{
    /// <summary><c>y[i] = f(x[i])</c>.</summary>
    public static void Map<TMap>(TMap map, float* x, float* y, int count)
        where TMap : struct, IMap1
    {
        Kernel1<TMap> kernel = new() { Map = map, X = x, Y = y, Count = count };
        Simd.Run(ref kernel);
    }

    /// <summary><c>y[i] = f(a[i], b[i])</c>.</summary>
    public static void Map<TMap>(TMap map, float* a, float* b, float* y, int count)
        where TMap : struct, IMap2
    {
        Kernel2<TMap> kernel = new() { Map = map, A = a, B = b, Y = y, Count = count };
        Simd.Run(ref kernel);
    }

    /// <summary>The loop of <see cref="Map{TMap}(TMap, float*, float*, int)"/> at a given width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Map<TMap, T>(TMap map, float* x, float* y, int count)
        where TMap : struct, IMap1
        where T : struct, IVec16<T>
    {
        int i = 0;
        for (; i <= count - 16; i += 16)
            T.Store(map.Invoke(T.Load(x + i)), y + i);
        if (i < count)
            VecTail.Store(map.Invoke(VecTail.Load<T>(x + i, count - i)), y + i, count - i);
    }

    /// <summary>The loop of <see cref="Map{TMap}(TMap, float*, float*, float*, int)"/> at a given width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Map<TMap, T>(TMap map, float* a, float* b, float* y, int count)
        where TMap : struct, IMap2
        where T : struct, IVec16<T>
    {
        int i = 0;
        for (; i <= count - 16; i += 16)
            T.Store(map.Invoke(T.Load(a + i), T.Load(b + i)), y + i);
        if (i < count)
        {
            T last = map.Invoke(VecTail.Load<T>(a + i, count - i), VecTail.Load<T>(b + i, count - i));
            VecTail.Store(last, y + i, count - i);
        }
    }

    private struct Kernel1<TMap> : IVecKernel
        where TMap : struct, IMap1
    {
        public TMap Map;
        public float* X, Y;
        public int Count;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T> => Map<TMap, T>(Map, X, Y, Count);
    }

    private struct Kernel2<TMap> : IVecKernel
        where TMap : struct, IMap2
    {
        public TMap Map;
        public float* A, B, Y;
        public int Count;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T> => Map<TMap, T>(Map, A, B, Y, Count);
    }
}
