using MoeKernels.Models.Description;
using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Integers by groups: the plain reference beside codebooks.</summary>
/// <param name="bits">Bits of a code.</param>
/// <param name="plainly">Rounds to the nearest levels, without looking at the inputs.</param>
/// <param name="threads">Experts at a time.</param>
/// <param name="cancellation">Stops between experts.</param>
internal sealed unsafe class IntegerExpertCoder(int bits, bool plainly, int threads, CancellationToken cancellation)
    : ScalarExpertCoder<IntegerCodes>(ScalarOptions.StoredIntegers(bits), plainly, threads, cancellation)
{
    /// <inheritdoc/>
    protected override IntegerCodes Round(in MatrixProblem problem, ScalarFactor factor, Scratch scratch)
    {
        IntegerShape shape = new(problem.Rows, problem.Columns, bits);
        using Scratch.Frame frame = scratch.Begin();
        byte* codes = scratch.Bytes((long)shape.Rows * shape.Columns);
        float* scales = scratch.Floats((long)shape.Rows * shape.Groups);
        float* zeros = scratch.Floats((long)shape.Rows * shape.Groups);
        ScalarQuantizer.Quantize(problem.Target, problem.Rows, factor, Options, scratch, codes, scales, zeros);
        IntegerCodes coded = IntegerCodes.Pack(shape, codes, scales, zeros);
        fixed (byte* rows = coded.Rows)
        fixed (ushort* halves = coded.Scales)
        {
            WeightMatrix matrix = WeightMatrix.Integers(rows, shape, halves);
            for (int row = 0; row < shape.Rows; row++)
                IntegerRow.Unpack(matrix, row, 0, shape.Columns, problem.Target + ((nint)row * shape.Columns));
        }

        return coded;
    }

    /// <inheritdoc/>
    protected override void Add(LayerTensors tensors, MoeSpec moe, Cell cell, IntegerCodes[] matrices) =>
        tensors.Add(cell.Stack, new IntegerStack(new IntegerShape(cell.Rows, cell.Columns, bits), matrices));
}
