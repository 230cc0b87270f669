using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Models.Loading;

/// <summary>Turns QMoE's codewords into what kernels read: ternary tiles, or dense bf16 weights.</summary>
/// <param name="checkpoint">The mapped weights.</param>
/// <param name="memory">Owner of the copies.</param>
/// <param name="exact">Dense weights: sixteen times the memory, and products that do not round their inputs.</param>
internal sealed unsafe class TernaryBinder(Checkpoint checkpoint, ModelMemory memory, bool exact)
{
    private const string WeightSuffix = ".weight";

    /// <summary>Whether a matrix is there in codewords.</summary>
    public bool Has(TensorName weight) => Find(weight) is not null;

    /// <summary>Converts some matrices of equal size, several at a time.</summary>
    /// <exception cref="MoeFormatException">One is missing or damaged.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    public WeightMatrix[] Convert(IReadOnlyList<TensorName> weights, int rows, int columns)
    {
        var views = new WeightMatrix[weights.Count];
        nint dense = exact ? (nint)memory.Allocate<ushort>((long)views.Length * rows * columns, "ternary experts") : 0;
        using Lifetime.Lease lease = checkpoint.Acquire();
        try
        {
            Parallel.For(0, views.Length, i =>
            {
                string name = Find(weights[i]) ?? Name(weights[i]);
                QmoeMatrix matrix = QmoeTensors.Read(checkpoint, name, rows, columns);
                views[i] = exact
                    ? Dense(matrix, (ushort*)dense + ((nint)i * rows * columns))
                    : Tiles(matrix);
            });
        }
        catch (AggregateException e) when (e.InnerException is MoeException)
        {
            throw e.InnerException;
        }

        return views;
    }

    private WeightMatrix Tiles(QmoeMatrix matrix)
    {
        TernaryTileMatrix tiles = TernaryTileMatrix.From(matrix);
        lock (memory)
            memory.OwnCopy(tiles, tiles.ByteLength);
        return tiles.View;
    }

    private static WeightMatrix Dense(QmoeMatrix matrix, ushort* weights)
    {
        for (int row = 0; row < matrix.Rows; row++)
        {
            var target = new Span<ushort>(weights + ((nint)row * matrix.Columns), matrix.Columns);
            matrix.DecodeRow(row, target);
        }

        nint rowBytes = sizeof(ushort) * (nint)matrix.Columns;
        return new WeightMatrix(WeightFormat.BF16, weights, matrix.Rows, matrix.Columns, rowBytes);
    }

    /// <summary>Name under which a matrix is stored in codewords: that of its module.</summary>
    public static string Name(TensorName weight) => Module(weight.First);

    private string? Find(TensorName weight) =>
        weight.Spellings.Select(Module).FirstOrDefault(name => QmoeTensors.Contains(checkpoint, name));

    private static string Module(string weight) =>
        weight.EndsWith(WeightSuffix, StringComparison.Ordinal) ? weight[..^WeightSuffix.Length] : weight;
}
