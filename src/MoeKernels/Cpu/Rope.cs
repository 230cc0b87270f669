namespace MoeKernels.Cpu;

/// <summary>Rotary position embedding of one head, in place: <c>(a, b) -> (a c - b s, b c + a s)</c>, not
/// fused.</summary>
internal static unsafe class Rope
{
    /// <summary>Rotates the pairs <c>(x[i], x[i + pairs])</c>.</summary>
    /// <param name="x">The rotated part of one head, [2 × pairs].</param>
    /// <param name="cos">Cosines of the position, [pairs].</param>
    /// <param name="sin">Sines of the position, [pairs].</param>
    /// <param name="pairs">Half the rotated dimensions.</param>
    public static void HalfSplit(float* x, float* cos, float* sin, int pairs)
    {
        for (int i = 0; i < pairs; i++)
            Rotate(x + i, x + pairs + i, cos[i], sin[i]);
    }

    /// <summary>Rotates the pairs <c>(x[2i], x[2i + 1])</c>.</summary>
    /// <param name="x">The rotated part of one head, [pairs × 2].</param>
    /// <param name="cos">Cosines of the position, [pairs].</param>
    /// <param name="sin">Sines of the position, [pairs].</param>
    /// <param name="pairs">Half the rotated dimensions.</param>
    public static void Interleaved(float* x, float* cos, float* sin, int pairs)
    {
        for (int i = 0; i < pairs; i++)
            Rotate(x + (2 * i), x + (2 * i) + 1, cos[i], sin[i]);
    }

    private static void Rotate(float* a, float* b, float cos, float sin)
    {
        float first = (*a * cos) - (*b * sin);
        *b = (*b * cos) + (*a * sin);
        *a = first;
    }
}
