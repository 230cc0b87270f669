using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>Codebook matrices as the native library takes them: in the order of the file, which the resident views have
/// kept, with the vectors and factors put back into their stored form. It lives while a stack is being
/// placed.</summary>
internal sealed unsafe class CodebookSource : IDisposable
{
    private readonly NativeBuffer _memory;

    /// <summary>Joins the matrices of a stack.</summary>
    /// <param name="matrices">Codebook matrices of one shape, dimension and number of stages.</param>
    /// <param name="what">What they are, for errors.</param>
    /// <exception cref="MoeUnsupportedException">The matrices differ in their shapes.</exception>
    /// <exception cref="MoeOutOfMemoryException">The host has no room for the copy.</exception>
    public CodebookSource(ReadOnlySpan<WeightMatrix> matrices, string what)
    {
        CodebookShape shape = matrices[0].CodebookShape;
        bool shared = true;
        foreach (ref readonly WeightMatrix matrix in matrices)
        {
            if (matrix.Format != WeightFormat.Codebook || matrix.CodebookShape != shape)
                throw new MoeUnsupportedException($"experts in codebooks of several shapes on a device ({what})");
            shared &= matrix.Vectors == matrices[0].Vectors;
        }

        int codebooks = shared ? 1 : matrices.Length;
        bool hasInputs = matrices[0].Vectors->InputScales != null;
        long scaleBytes = (long)sizeof(ushort) * shape.PaddedRows * matrices.Length;
        long codeBytes = shape.CodeBytes * matrices.Length;
        long vectorBytes = (long)codebooks * shape.Stages * CodebookShape.Vectors * shape.Dimension;
        long inputBytes = hasInputs ? (long)sizeof(ushort) * codebooks * shape.Columns : 0;
        _memory = NativeBuffer.Allocate(codeBytes + scaleBytes + inputBytes + vectorBytes, what);

        byte* codes = _memory.Pointer;
        var scales = (ushort*)(codes + codeBytes);
        var inputs = (ushort*)((byte*)scales + scaleBytes);
        var vectors = (sbyte*)inputs + inputBytes;
        for (int e = 0; e < matrices.Length; e++)
        {
            WeightMatrix matrix = matrices[e];
            Buffer.MemoryCopy(matrix.Data, codes + (e * shape.CodeBytes), shape.CodeBytes, shape.CodeBytes);
            long own = (long)sizeof(ushort) * shape.PaddedRows;
            Buffer.MemoryCopy(matrix.Scales, scales + ((long)e * shape.PaddedRows), own, own);
        }

        for (int c = 0; c < codebooks; c++)
        {
            CopyVectors(*matrices[c].Vectors, vectors + (c * (vectorBytes / codebooks)));
            for (int k = 0; hasInputs && k < shape.Columns; k++)
            {
                var factor = (Half)matrices[c].Vectors->InputScales[k];
                inputs[((long)c * shape.Columns) + k] = BitConverter.HalfToUInt16Bits(factor);
            }
        }

        moek_codebook_desc desc;
        Moek.moek_codebook_desc_init(&desc);
        (desc.rows, desc.columns) = (shape.Rows, shape.Columns);
        (desc.dimension, desc.stages) = (shape.Dimension, shape.Stages);
        (desc.matrices, desc.codebooks) = (matrices.Length, codebooks);
        desc.scales = scales;
        desc.codes = codes;
        desc.codebook = vectors;
        desc.inputs = hasInputs ? inputs : null;
        Desc = desc;
    }

    /// <summary>The stack; its pointers are valid until this object is disposed.</summary>
    public moek_codebook_desc Desc { get; }

    /// <inheritdoc/>
    public void Dispose() => _memory.Dispose();

    private static void CopyVectors(in CodebookVectors vectors, sbyte* target)
    {
        for (int stage = 0; stage < vectors.Stages; stage++)
        {
            for (int index = 0; index < CodebookShape.Vectors; index++)
            {
                for (int k = 0; k < vectors.Dimension; k++)
                    *target++ = (sbyte)vectors.Number(stage, index, k);
            }
        }
    }
}
