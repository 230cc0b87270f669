using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Vectors as they are stored, with what the quantiser needs beside them.</summary>
/// <param name="Dimension">Numbers of a vector.</param>
/// <param name="Stages">Codes that add up.</param>
/// <param name="Vectors">Integers, [stages × 128 × dimension], within the limits of <see cref="Codebook"/>.</param>
/// <param name="Step">Value of 1 when rows are divided by their scales.</param>
/// <param name="InputScales">Exact in half precision, [K].</param>
internal sealed record TrainedCodebook(int Dimension, int Stages, sbyte[] Vectors, float Step, float[] InputScales)
{
    /// <summary>The vectors as floats; the caller disposes them.</summary>
    public VectorBook ToBook()
    {
        VectorBook book = new(Dimension, Stages);
        for (int i = 0; i < Vectors.Length; i++)
            book.Numbers[i] = Vectors[i] * Step;
        return book;
    }
}
