using MoeKernels.Models.Placement;
using MoeKernels.Tests.Cpu;

namespace MoeKernels.Tests.Models.Placement;

public sealed class TransposedHeadsTests
{
    [Theory]
    [InlineData(WeightFormat.F32, WeightFormat.F32, 5, 3, 32)]
    [InlineData(WeightFormat.F16, WeightFormat.F16, 65, 3, 32)]
    [InlineData(WeightFormat.BF16, WeightFormat.BF16, 70, 3, 32)]
    [InlineData(WeightFormat.F8E4M3, WeightFormat.F8E4M3, 8, 4, 32)]
    [InlineData(WeightFormat.F8E4M3, WeightFormat.F8E4M3, 10, 5, 7)]
    [InlineData(WeightFormat.F8E4M3, WeightFormat.F32, 9, 4, 32)]
    [InlineData(WeightFormat.MxFp4, WeightFormat.F32, 6, 3, 32)]
    [InlineData(WeightFormat.GroupedInt, WeightFormat.F32, 6, 3, 32)]
    public void Transpose_OfEveryFormat_KeepsEveryValue(
        WeightFormat stored, WeightFormat kept, int rows, int blockRows, int blockColumns)
    {
        const int Heads = 3, Columns = 96;
        using TestMatrix matrix = new(stored, 2 * Heads * rows, Columns, 4, blockRows, blockColumns);
        WeightMatrix[] heads = [.. Enumerable.Range(0, Heads).Select(h => matrix.View.Slice(2 * h * rows, rows - 1))];
        using TransposedHeads transposed = new(heads, "heads");
        Assert.Equal(Heads, transposed.Matrices.Length);
        for (int h = 0; h < Heads; h++)
        {
            WeightMatrix actual = transposed.Matrices[h];
            Assert.Equal((kept, Columns, rows - 1), (actual.Format, actual.Rows, actual.Columns));
            for (int row = 0; row < rows - 1; row++)
            {
                for (int column = 0; column < Columns; column++)
                    Assert.Equal(WeightElement.Get(heads[h], row, column), WeightElement.Get(actual, column, row));
            }
        }
    }
}
