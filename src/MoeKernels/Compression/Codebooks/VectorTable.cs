using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>128 vectors in the order of the search, which finds the nearest of the 256 signed vectors for sixteen
/// points at once.</summary>
/// <remarks>
/// |y - σ v|² is smallest where |y·v| - |v|²/2 is largest; σ is the sign of the dot product. Eight vectors share a load
/// of the points. Equal scores go to the lower index.
/// </remarks>
internal static unsafe class VectorTable
{
    /// <summary>Vectors of a codebook.</summary>
    public const int Count = 128;

    /// <summary>Points searched at once.</summary>
    public const int Lanes = 16;

    /// <summary>Vectors side by side.</summary>
    private const int Side = 8;

    /// <summary>Floats of a table.</summary>
    public static int Length(int dimension) => Count * (dimension + 1);

    /// <summary>Orders vectors: [16 × (dimension × 8)], then half their squared lengths, [128].</summary>
    public static void Fill(float* vectors, int dimension, float* table)
    {
        float* halves = table + (Count * dimension);
        for (int v = 0; v < Count; v++)
        {
            float* target = table + (v / Side * Side * dimension) + (v % Side);
            float sum = 0;
            for (int k = 0; k < dimension; k++)
            {
                float number = vectors[(v * dimension) + k];
                target[k * Side] = number;
                sum += number * number;
            }

            halves[v] = 0.5f * sum;
        }
    }

    /// <summary>Finds the nearest vector of each point.</summary>
    /// <param name="table">From <see cref="Fill"/>.</param>
    /// <param name="dimension">Numbers of a vector.</param>
    /// <param name="y">Points, [dimension × 16].</param>
    /// <param name="index">Output: indices.</param>
    /// <param name="dot">Output: dot products; their sign is the vector's.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Nearest(
        float* table, int dimension, float* y, out Vector512<int> index, out Vector512<float> dot)
    {
        float* halves = table + (Count * dimension);
        Vector512<float> best = Vector512.Create(float.NegativeInfinity), bestDot = default;
        Vector512<int> bestIndex = default;
        float* v = table;
        for (int first = 0; first < Count; first += Side)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            Vector512<float> s4 = default, s5 = default, s6 = default, s7 = default;
            for (int k = 0; k < dimension; k++, v += Side)
            {
                Vector512<float> point = Vector512.Load(y + (k * Lanes));
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(v[0]), point, s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(v[1]), point, s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(v[2]), point, s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(v[3]), point, s3);
                s4 = Vector512.FusedMultiplyAdd(Vector512.Create(v[4]), point, s4);
                s5 = Vector512.FusedMultiplyAdd(Vector512.Create(v[5]), point, s5);
                s6 = Vector512.FusedMultiplyAdd(Vector512.Create(v[6]), point, s6);
                s7 = Vector512.FusedMultiplyAdd(Vector512.Create(v[7]), point, s7);
            }

            Take(s0, halves, first, ref best, ref bestDot, ref bestIndex);
            Take(s1, halves, first + 1, ref best, ref bestDot, ref bestIndex);
            Take(s2, halves, first + 2, ref best, ref bestDot, ref bestIndex);
            Take(s3, halves, first + 3, ref best, ref bestDot, ref bestIndex);
            Take(s4, halves, first + 4, ref best, ref bestDot, ref bestIndex);
            Take(s5, halves, first + 5, ref best, ref bestDot, ref bestIndex);
            Take(s6, halves, first + 6, ref best, ref bestDot, ref bestIndex);
            Take(s7, halves, first + 7, ref best, ref bestDot, ref bestIndex);
        }

        (index, dot) = (bestIndex, bestDot);
    }

    /// <summary>Keeps the cheapest choices of several searches, cheapest first.</summary>
    /// <param name="table">From <see cref="Fill"/>.</param>
    /// <param name="dimension">Numbers of a vector.</param>
    /// <param name="y">Points, [dimension × 16].</param>
    /// <param name="offset">Half the cost of a point if it were coded as zero.</param>
    /// <param name="tag">Added to the code of every choice, code being the index and 128 for a negative sign.</param>
    /// <param name="costs">Half costs of the choices so far, [beams × 16], ascending.</param>
    /// <param name="choices">Tags and codes of the choices so far, [beams × 16].</param>
    /// <param name="beams">Choices to keep.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Search(
        float* table, int dimension, float* y, Vector512<float> offset, int tag, float* costs, int* choices, int beams)
    {
        float* halves = table + (Count * dimension);
        float* v = table;
        float* dots = stackalloc float[Side * Lanes];
        Vector512<float> worst = Vector512.Load(costs + ((beams - 1) * Lanes));
        for (int first = 0; first < Count; first += Side)
        {
            Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
            Vector512<float> s4 = default, s5 = default, s6 = default, s7 = default;
            for (int k = 0; k < dimension; k++, v += Side)
            {
                Vector512<float> point = Vector512.Load(y + (k * Lanes));
                s0 = Vector512.FusedMultiplyAdd(Vector512.Create(v[0]), point, s0);
                s1 = Vector512.FusedMultiplyAdd(Vector512.Create(v[1]), point, s1);
                s2 = Vector512.FusedMultiplyAdd(Vector512.Create(v[2]), point, s2);
                s3 = Vector512.FusedMultiplyAdd(Vector512.Create(v[3]), point, s3);
                s4 = Vector512.FusedMultiplyAdd(Vector512.Create(v[4]), point, s4);
                s5 = Vector512.FusedMultiplyAdd(Vector512.Create(v[5]), point, s5);
                s6 = Vector512.FusedMultiplyAdd(Vector512.Create(v[6]), point, s6);
                s7 = Vector512.FusedMultiplyAdd(Vector512.Create(v[7]), point, s7);
            }

            s0.Store(dots);
            s1.Store(dots + 16);
            s2.Store(dots + 32);
            s3.Store(dots + 48);
            s4.Store(dots + 64);
            s5.Store(dots + 80);
            s6.Store(dots + 96);
            s7.Store(dots + 112);
            for (int i = 0; i < Side; i++)
            {
                Vector512<float> dot = Vector512.Load(dots + (i * Lanes));
                Vector512<float> cost = offset - Vector512.Abs(dot) + Vector512.Create(halves[first + i]);
                if (!Vector512.LessThanAny(cost, worst))
                    continue;
                Vector512<int> negative = (dot.AsInt32() >>> 31) << 7;
                Insert(cost, negative + Vector512.Create(tag + first + i), costs, choices, beams);
                worst = Vector512.Load(costs + ((beams - 1) * Lanes));
            }
        }
    }

    /// <summary>Puts a choice in its place in every lane; the worst one drops out. Equal costs stay behind.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Insert(
        Vector512<float> cost, Vector512<int> choice, float* costs, int* choices, int beams)
    {
        for (int i = 0; i < beams; i++, costs += Lanes, choices += Lanes)
        {
            Vector512<float> old = Vector512.Load(costs);
            Vector512<int> oldChoice = Vector512.Load(choices);
            Vector512<float> less = Vector512.LessThan(cost, old);
            Vector512.ConditionalSelect(less, cost, old).Store(costs);
            Vector512.ConditionalSelect(less.AsInt32(), choice, oldChoice).Store(choices);
            cost = Vector512.ConditionalSelect(less, old, cost);
            choice = Vector512.ConditionalSelect(less.AsInt32(), oldChoice, choice);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Take(
        Vector512<float> s, float* halves, int index, ref Vector512<float> best, ref Vector512<float> bestDot,
        ref Vector512<int> bestIndex)
    {
        Vector512<float> score = Vector512.Abs(s) - Vector512.Create(halves[index]);
        Vector512<float> better = Vector512.GreaterThan(score, best);
        best = Vector512.ConditionalSelect(better, score, best);
        bestDot = Vector512.ConditionalSelect(better, s, bestDot);
        bestIndex = Vector512.ConditionalSelect(better.AsInt32(), Vector512.Create(index), bestIndex);
    }
}
