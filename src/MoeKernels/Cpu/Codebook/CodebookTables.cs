namespace MoeKernels.Cpu;

/// <summary>
/// The lookup tables of some inputs: per chunk and input, 128 rounded dot products per entry and the value of half a
/// step. Every matrix that shares codebook and inputs (all gates of a layer) shares them.
/// </summary>
/// <remarks>A view over the caller's memory of <see cref="ByteCount"/> bytes: nothing is allocated.</remarks>
internal readonly unsafe struct CodebookTables
{
    /// <summary>Lays the tables out in memory.</summary>
    /// <param name="shape">Sizes of the matrices; rows do not matter.</param>
    /// <param name="count">Number of inputs.</param>
    /// <param name="memory">At least <see cref="ByteCount"/> bytes, aligned to 64.</param>
    public CodebookTables(CodebookShape shape, int count, byte* memory)
    {
        Shape = shape;
        Count = count;
        Bytes = memory;
        Steps = (float*)(memory + TableBytes(shape, count));
    }

    /// <summary>Sizes of the matrices.</summary>
    public CodebookShape Shape { get; }

    /// <summary>Number of inputs.</summary>
    public int Count { get; }

    /// <summary>Tables, [chunks × inputs × entries of the chunk × 128].</summary>
    public byte* Bytes { get; }

    /// <summary>Values of half a step, [chunks × inputs].</summary>
    public float* Steps { get; }

    /// <summary>Memory the tables take, a multiple of 64.</summary>
    public static long ByteCount(CodebookShape shape, int count) =>
        TableBytes(shape, count) + (((sizeof(float) * (long)shape.Chunks * count) + 63) & ~63L);

    /// <summary>First table of an input in a chunk; the next input's follow <see cref="Stride"/> later.</summary>
    public byte* Table(int chunk, int input)
    {
        long entries = (long)chunk * Shape.ChunkGroups * Shape.Stages * Count;
        return Bytes + (CodebookShape.Vectors * (entries + ((long)input * Shape.EntriesOf(chunk))));
    }

    /// <summary>Half step of an input's tables of a chunk; the next input's follows.</summary>
    public float* Step(int chunk, int input) => Steps + ((long)chunk * Count) + input;

    /// <summary>Distance between two inputs' tables of a chunk.</summary>
    public int Stride(int chunk) => CodebookShape.Vectors * Shape.EntriesOf(chunk);

    private static long TableBytes(CodebookShape shape, int count) =>
        (long)CodebookShape.Vectors * shape.Entries * count;
}
