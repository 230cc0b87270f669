using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>Cholesky factor and inverse of small matrices [n, n], row by row.</summary>
internal static unsafe class TriangularFactor
{
    /// <summary>Replaces the lower triangle of a symmetric matrix by L with <c>A = LLᵀ</c>.</summary>
    /// <returns>Whether the matrix is positive definite; if not, its content is undefined.</returns>
    public static bool TryCholesky(float* a, int n)
    {
        for (int i = 0; i < n; i++)
        {
            float* row = a + ((nint)i * n);
            for (int j = 0; j < i; j++)
            {
                float* other = a + ((nint)j * n);
                row[j] = (row[j] - Dot(row, other, j)) / other[j];
            }

            float pivot = row[i] - Dot(row, row, i);
            if (!(pivot > 0) || !float.IsFinite(pivot))
                return false;
            row[i] = MathF.Sqrt(pivot);
        }

        return true;
    }

    /// <summary>Replaces a lower triangle by its inverse.</summary>
    /// <returns>Whether all of it is finite.</returns>
    public static bool TryInvert(float* lower, int n)
    {
        var factors = new float[n];
        for (int i = 0; i < n; i++)
        {
            float* row = lower + ((nint)i * n);
            new Span<float>(row, i).CopyTo(factors);
            new Span<float>(row, i).Clear();
            for (int k = 0; k < i; k++)
                AddScaled(row, lower + ((nint)k * n), factors[k], k + 1);

            float inverse = 1 / row[i];
            for (int j = 0; j < i; j++)
                row[j] *= -inverse;
            row[i] = inverse;
            if (!float.IsFinite(inverse))
                return false;
        }

        return true;
    }

    /// <summary>Turns a lower triangle into the upper one with both axes reversed.</summary>
    public static void Reverse(float* a, int n) => new Span<float>(a, checked(n * n)).Reverse();

    /// <summary>Computes <c>y += factor * x</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddScaled(float* y, float* x, float factor, int count)
    {
        Vector512<float> wide = Vector512.Create(factor);
        int i = 0;
        for (; i <= count - 16; i += 16)
            Vector512.FusedMultiplyAdd(wide, Vector512.Load(x + i), Vector512.Load(y + i)).Store(y + i);
        for (; i < count; i++)
            y[i] = MathF.FusedMultiplyAdd(factor, x[i], y[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(float* x, float* y, int count)
    {
        Vector512<float> first = default, second = default;
        int i = 0;
        for (; i <= count - 32; i += 32)
        {
            first = Vector512.FusedMultiplyAdd(Vector512.Load(x + i), Vector512.Load(y + i), first);
            second = Vector512.FusedMultiplyAdd(Vector512.Load(x + i + 16), Vector512.Load(y + i + 16), second);
        }

        float sum = Vector512.Sum(first + second);
        for (; i < count; i++)
            sum = MathF.FusedMultiplyAdd(x[i], y[i], sum);
        return sum;
    }
}
