using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>
/// The lookup tables of some tokens' inputs: per chunk and token, 128 rounded dot products per entry and the value of
/// half a step. Every matrix that shares codebook and input (all gates and ups of a layer) shares them.
/// </summary>
/// <remarks>A view over the caller's memory of <see cref="ByteCount"/> bytes: nothing is allocated.</remarks>
internal readonly unsafe struct CodebookTables
{
    /// <summary>Lays the tables out in memory.</summary>
    /// <param name="shape">Sizes of the matrices; rows do not matter.</param>
    /// <param name="tokens">Number of tokens.</param>
    /// <param name="memory">At least <see cref="ByteCount"/> bytes, aligned to 64.</param>
    public CodebookTables(CodebookShape shape, int tokens, byte* memory)
    {
        Shape = shape;
        Tokens = tokens;
        Bytes = memory;
        Steps = (float*)(memory + TableBytes(shape, tokens));
    }

    /// <summary>Sizes of the matrices.</summary>
    public CodebookShape Shape { get; }

    /// <summary>Number of tokens.</summary>
    public int Tokens { get; }

    /// <summary>Tables, [chunks × tokens × entries of the chunk × 128].</summary>
    public byte* Bytes { get; }

    /// <summary>Values of half a step, [chunks × tokens].</summary>
    public float* Steps { get; }

    /// <summary>Memory the tables take.</summary>
    public static long ByteCount(CodebookShape shape, int tokens) =>
        TableBytes(shape, tokens) + (sizeof(float) * (long)shape.Chunks * tokens);

    /// <summary>First table of a token in a chunk; the next token's follow <see cref="TokenBytes"/> later.</summary>
    public byte* Table(int chunk, int token)
    {
        long entries = (long)chunk * Shape.ChunkGroups * Shape.Stages * Tokens;
        return Bytes + (CodebookShape.Vectors * (entries + ((long)token * Shape.EntriesOf(chunk))));
    }

    /// <summary>Distance between two tokens' tables of a chunk.</summary>
    public int TokenBytes(int chunk) => CodebookShape.Vectors * Shape.EntriesOf(chunk);

    /// <summary>Builds the tables of all tokens.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="codebook">The vectors, with the shape's dimension and stages.</param>
    /// <param name="x">Inputs, [tokens × columns]; nothing behind a token's last column is read.</param>
    /// <param name="xStride">Distance between two tokens in elements.</param>
    /// <exception cref="ArgumentException">The codebook has another dimension or number of stages.</exception>
    public void Build(WorkerPool pool, Codebook codebook, float* x, nint xStride)
    {
        if (codebook.Dimension != Shape.Dimension || codebook.Stages != Shape.Stages)
        {
            throw new ArgumentException(
                $"A codebook of {codebook.Stages} × {codebook.Dimension} for {Shape}.", nameof(codebook));
        }

        BuildWork work = new()
        {
            Tables = this,
            Source = new TableSource(codebook.Pairs, codebook.Bias, Shape.Dimension, Shape.Stages),
            X = x,
            XStride = xStride,
        };
        pool.Run(ref work, Shape.Chunks * Tokens);
        GC.KeepAlive(codebook);
    }

    private static long TableBytes(CodebookShape shape, int tokens) =>
        (long)CodebookShape.Vectors * shape.Entries * tokens;

    private struct BuildWork : IWork
    {
        public CodebookTables Tables;
        public TableSource Source;
        public float* X;
        public nint XStride;

        public readonly void Execute(int begin, int end, int worker)
        {
            CodebookShape shape = Tables.Shape;
            for (int item = begin; item < end; item++)
            {
                (int chunk, int token) = Math.DivRem(item, Tables.Tokens);
                int first = chunk * shape.ChunkGroups * shape.Dimension;
                int groups = shape.GroupsOf(chunk);
                int columns = Math.Min(groups * shape.Dimension, shape.Columns - first);
                Tables.Steps[item] = TableBuilder.Build(
                    Source, groups, X + (token * XStride) + first, columns, Tables.Table(chunk, token));
            }
        }
    }
}
