namespace MoeKernels.Cpu;

/// <summary>Inputs of a <see cref="CodebookRegion"/> that get tables: some rows of x and the codebook they are
/// multiplied with.</summary>
internal unsafe struct CodebookInput
{
    /// <summary>The codebook.</summary>
    public CodebookVectors* Vectors;

    /// <summary>Sizes of the matrices that are multiplied.</summary>
    public CodebookShape Shape;

    /// <summary>Rows that get tables.</summary>
    public int Count;

    /// <summary>First byte of the tables, counted from the memory of all of them.</summary>
    public nint Offset;

    /// <summary>Row 0; nothing behind a row's last column is read.</summary>
    public float* X;

    /// <summary>Distance between two rows of <see cref="X"/> in elements.</summary>
    public nint XStride;

    /// <summary>Which rows get tables, [tables]; null for the first ones.</summary>
    public int* Rows;

    /// <summary>Tables to build: one per chunk and row.</summary>
    public readonly int Items => Shape.Chunks * Count;

    /// <summary>The tables.</summary>
    /// <param name="memory">Memory of all tables.</param>
    public readonly CodebookTables Tables(byte* memory) => new(Shape, Count, memory + Offset);

    /// <summary>Builds the tables [begin, end), rows fastest.</summary>
    /// <param name="begin">First table.</param>
    /// <param name="end">One past the last table.</param>
    /// <param name="memory">Memory of all tables.</param>
    public readonly void Build(int begin, int end, byte* memory)
    {
        CodebookShape shape = Shape;
        CodebookTables tables = Tables(memory);
        TableSource source = new(Vectors);
        for (int item = begin; item < end; item++)
        {
            (int chunk, int input) = Math.DivRem(item, Count);
            int first = chunk * shape.ChunkGroups * shape.Dimension;
            int groups = shape.GroupsOf(chunk);
            int columns = Math.Min(groups * shape.Dimension, shape.Columns - first);
            float* x = X + ((Rows == null ? input : Rows[input]) * XStride);
            *tables.Step(chunk, input) =
                TableBuilder.Build(source, groups, x + first, first, columns, tables.Table(chunk, input));
        }
    }
}
