using System.Runtime.InteropServices;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Packed;

/// <summary>What the authors' own code computed: see <c>tests/data/README.md</c>.</summary>
internal static class QmoeFixture
{
    internal static string Checkpoint => RepositoryPaths.DataFile("qmoe", "checkpoint");

    private static string Codec => RepositoryPaths.DataFile("qmoe", "codec.safetensors");

    /// <summary>Copies a tensor of the codec's file.</summary>
    internal static T[] Read<T>(string name)
        where T : unmanaged => Read<T>(Codec, name);

    /// <summary>Copies a tensor of any safetensors file.</summary>
    internal static T[] Read<T>(string path, string name)
        where T : unmanaged
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        TensorInfo tensor = file.Tensors[name];
        var bytes = new byte[tensor.ByteLength];
        file.Read(tensor, 0, bytes);
        return MemoryMarshal.Cast<byte, T>(bytes).ToArray();
    }

    /// <summary>The matrix as the authors stored it.</summary>
    internal static QmoeMatrix Matrix(string name) => QmoeMatrix.Create(
        Codec,
        name,
        Read<ushort>($"{name}.w_comp"),
        Read<int>($"{name}.row_off"),
        Read<ushort>($"{name}.ter_minmax"),
        Read<ushort>($"{name}.x").Length,
        droppedRowsAreZero: true);

    /// <summary>All weights of a matrix, [rows, columns] bf16 bits.</summary>
    internal static ushort[] Decode(QmoeMatrix matrix)
    {
        var weights = new ushort[matrix.Rows * matrix.Columns];
        for (int row = 0; row < matrix.Rows; row++)
            matrix.DecodeRow(row, weights.AsSpan(row * matrix.Columns, matrix.Columns));

        return weights;
    }

    /// <summary>Random rows with their own levels; some lack negatives, positives or zeros, as bf16 bits.</summary>
    internal static ushort[] RandomTernary(Random random, int rows, int columns)
    {
        var weights = new ushort[rows * columns];
        for (int row = 0; row < rows; row++)
        {
            double sparsity = random.Next(6) switch { 0 => 0, 1 => 1, 2 => .5, 3 => .98, _ => .885 };
            int kind = random.Next(8);
            var low = (ushort)(0x8000 | random.Next(1, 0x7F80));
            var high = (ushort)random.Next(1, 0x7F80);
            for (int i = 0; i < columns; i++)
            {
                bool isLow = kind == 0 || (kind != 1 && random.Next(2) == 0);
                weights[(row * columns) + i] = random.NextDouble() < sparsity ? (ushort)0 : isLow ? low : high;
            }
        }

        return weights;
    }

    /// <summary>A random matrix with levels near one, for sums that rounding does not drown.</summary>
    internal static QmoeMatrix RandomMatrix(int rows, int columns, int seed)
    {
        var random = new Random(seed);
        ushort[] weights = RandomTernary(random, rows, columns);
        for (int row = 0; row < rows; row++)
        {
            var low = (ushort)(0xBF00 + random.Next(0x100));
            var high = (ushort)(0x3F00 + random.Next(0x100));
            foreach (ref ushort weight in weights.AsSpan(row * columns, columns))
                weight = weight == 0 ? weight : weight >= 0x8000 ? low : high;
        }

        return QmoeEncoder.Encode(weights, rows, columns);
    }

    internal static float Widen(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
