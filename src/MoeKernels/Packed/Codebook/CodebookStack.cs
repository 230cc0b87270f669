namespace MoeKernels.Packed;

/// <summary>Matrices of one shape and their codebooks in managed memory, as a quantiser makes them: all experts of a
/// layer and kind, or one linear layer.</summary>
/// <param name="Shape">Sizes of each matrix.</param>
/// <param name="Codes">Codes of each matrix in the kernels' order.</param>
/// <param name="Scales">Half-precision scales of each matrix, padded rows.</param>
/// <param name="Codebooks">One for all matrices, or one for each.</param>
internal sealed record CodebookStack(
    CodebookShape Shape,
    IReadOnlyList<byte[]> Codes,
    IReadOnlyList<ushort[]> Scales,
    IReadOnlyList<Codebook> Codebooks) : IDisposable
{
    /// <summary>Number of matrices.</summary>
    public int Count => Codes.Count;

    /// <summary>Bytes of all tensors of the stack.</summary>
    public long ByteLength => ByteCount(Shape, Count, Codebooks.Count, HasInputScales);

    /// <summary>Whether the codebooks have factors of the inputs.</summary>
    public bool HasInputScales => !Codebooks[0].InputScales.IsEmpty;

    /// <summary>Bytes that a stack takes.</summary>
    /// <param name="shape">Sizes of each matrix.</param>
    /// <param name="count">Matrices.</param>
    /// <param name="codebooks">Codebooks: 1 or <paramref name="count"/>.</param>
    /// <param name="inputScales">Whether there are factors of the inputs.</param>
    public static long ByteCount(CodebookShape shape, int count, int codebooks, bool inputScales) =>
        (count * (shape.CodeBytes + (sizeof(ushort) * (long)shape.PaddedRows)))
        + (codebooks * ((long)shape.Stages * CodebookShape.Vectors * shape.Dimension))
        + (inputScales ? codebooks * sizeof(ushort) * (long)shape.Columns : 0)
        + (sizeof(int) * CodebookTensors.HeaderLength);

    /// <summary>Frees the codebooks.</summary>
    public void Dispose()
    {
        foreach (Codebook codebook in Codebooks)
            codebook.Dispose();
    }
}
