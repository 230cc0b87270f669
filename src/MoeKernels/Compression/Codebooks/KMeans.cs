using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>128 vectors for many points, where a vector also stands for its negative.</summary>
/// <remarks>Points are stored 16 side by side, [tiles × dimension × 16]; the last tile is padded with zeros, which
/// weigh nothing.</remarks>
internal static unsafe class KMeans
{
    private const int Lanes = VectorTable.Lanes;
    private const int Iterations = 12;

    /// <summary>Floats for some points.</summary>
    public static long Length(int count, int dimension) => (long)Tiles(count) * dimension * Lanes;

    /// <summary>Place of a point's first number; the next one is 16 floats on.</summary>
    public static nint Offset(int point, int dimension) =>
        ((nint)(point / Lanes) * dimension * Lanes) + (point % Lanes);

    /// <summary>Clusters points: seeds far from each other (k-means++), then Lloyd's iterations.</summary>
    /// <param name="points">Points.</param>
    /// <param name="count">How many.</param>
    /// <param name="dimension">Numbers of a point.</param>
    /// <param name="random">Generator.</param>
    /// <param name="vectors">Output, [128 × dimension].</param>
    /// <param name="scratch">Working memory.</param>
    public static void Cluster(
        float* points, int count, int dimension, ref SmallRandom random, float* vectors, Scratch scratch)
    {
        using Scratch.Frame frame = scratch.Begin();
        Seed(points, count, dimension, ref random, vectors, scratch);
        float* table = scratch.Floats(VectorTable.Length(dimension));
        double[] sums = new double[VectorTable.Count * dimension];
        int[] members = new int[VectorTable.Count];
        for (int iteration = 0; iteration < Iterations; iteration++)
        {
            VectorTable.Fill(vectors, dimension, table);
            Assign(points, count, dimension, table, sums, members);
            for (int v = 0; v < VectorTable.Count; v++)
            {
                float* vector = vectors + (v * dimension);
                if (members[v] == 0)
                    CopyPoint(points, (int)random.Below(count), dimension, vector);
                for (int k = 0; members[v] != 0 && k < dimension; k++)
                    vector[k] = (float)(sums[(v * dimension) + k] / members[v]);
            }
        }
    }

    /// <summary>Takes the nearest signed vector away from each point: the points of the next stage.</summary>
    public static void Subtract(float* points, int count, int dimension, float* vectors, Scratch scratch)
    {
        using Scratch.Frame frame = scratch.Begin();
        float* table = scratch.Floats(VectorTable.Length(dimension));
        VectorTable.Fill(vectors, dimension, table);
        int* indices = stackalloc int[Lanes];
        float* dots = stackalloc float[Lanes];
        for (int tile = 0; tile < Tiles(count); tile++, points += dimension * Lanes)
        {
            VectorTable.Nearest(table, dimension, points, out Vector512<int> index, out Vector512<float> dot);
            index.Store(indices);
            dot.Store(dots);
            for (int lane = 0; lane < Math.Min(Lanes, count - (tile * Lanes)); lane++)
            {
                for (int k = 0; k < dimension; k++)
                {
                    float number = vectors[(indices[lane] * dimension) + k];
                    points[(k * Lanes) + lane] -= dots[lane] < 0 ? -number : number;
                }
            }
        }
    }

    /// <summary>Adds every point, with its sign, to the sum of its vector.</summary>
    private static void Assign(
        float* points, int count, int dimension, float* table, Span<double> sums, Span<int> members)
    {
        sums.Clear();
        members.Clear();
        int* indices = stackalloc int[Lanes];
        float* dots = stackalloc float[Lanes];
        for (int tile = 0; tile < Tiles(count); tile++, points += dimension * Lanes)
        {
            VectorTable.Nearest(table, dimension, points, out Vector512<int> index, out Vector512<float> dot);
            index.Store(indices);
            dot.Store(dots);
            for (int lane = 0; lane < Math.Min(Lanes, count - (tile * Lanes)); lane++)
            {
                members[indices[lane]]++;
                Span<double> sum = sums.Slice(indices[lane] * dimension, dimension);
                for (int k = 0; k < dimension; k++)
                    sum[k] += dots[lane] < 0 ? -points[(k * Lanes) + lane] : points[(k * Lanes) + lane];
            }
        }
    }

    /// <summary>The first vector is any point; each further one is a point drawn in proportion to its squared distance
    /// from the vectors so far.</summary>
    private static void Seed(
        float* points, int count, int dimension, ref SmallRandom random, float* vectors, Scratch scratch)
    {
        int tiles = Tiles(count);
        float* distances = scratch.Floats((long)tiles * Lanes);
        new Span<float>(distances, tiles * Lanes).Fill(float.PositiveInfinity);
        int next = (int)random.Below(count);
        for (int v = 0; ; v++)
        {
            CopyPoint(points, next, dimension, vectors + (v * dimension));
            if (v == VectorTable.Count - 1)
                return;

            double total = Approach(points, tiles, dimension, vectors + (v * dimension), distances);
            next = Draw(distances, count, random.Unit() * total, (int)random.Below(count));
        }
    }

    /// <summary>Lowers the distances to those from a new vector.</summary>
    /// <returns>Their sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Approach(float* points, int tiles, int dimension, float* vector, float* distances)
    {
        float square = 0;
        for (int k = 0; k < dimension; k++)
            square += vector[k] * vector[k];
        double total = 0;
        for (int tile = 0; tile < tiles; tile++, distances += Lanes)
        {
            Vector512<float> dot = default, length = Vector512.Create(square);
            for (int k = 0; k < dimension; k++, points += Lanes)
            {
                Vector512<float> x = Vector512.Load(points);
                dot = Vector512.FusedMultiplyAdd(x, Vector512.Create(vector[k]), dot);
                length = Vector512.FusedMultiplyAdd(x, x, length);
            }

            Vector512<float> distance = Vector512.Max(length - (2 * Vector512.Abs(dot)), default);
            distance = Vector512.Min(distance, Vector512.Load(distances));
            distance.Store(distances);
            total += Vector512.Sum(distance);
        }

        return total;
    }

    private static int Draw(float* distances, int count, double mark, int otherwise)
    {
        for (int i = 0; i < count; i++)
        {
            mark -= distances[i];
            if (mark < 0)
                return i;
        }

        return otherwise;
    }

    private static void CopyPoint(float* points, int point, int dimension, float* vector)
    {
        for (int k = 0; k < dimension; k++)
            vector[k] = points[Offset(point, dimension) + (k * Lanes)];
    }

    private static int Tiles(int count) => (count + Lanes - 1) / Lanes;
}
