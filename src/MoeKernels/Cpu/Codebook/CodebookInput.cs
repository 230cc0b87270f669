namespace MoeKernels.Cpu;

/// <summary>Inputs of a <see cref="CodebookRegion"/> that get tables: some rows of x and the codebook they are multiplied
/// with.</summary>
internal unsafe struct CodebookInput
{
    /// <summary>The codebook.</summary>
    public CodebookVectors* Vectors;

    /// <summary>Where the tables go.</summary>
    public CodebookTables Tables;

    /// <summary>Row 0; nothing behind a row's last column is read.</summary>
    public float* X;

    /// <summary>Distance between two rows of <see cref="X"/> in elements.</summary>
    public nint XStride;

    /// <summary>Which rows get tables, [tables]; null for the first ones.</summary>
    public int* Rows;

    /// <summary>Tables to build: one per chunk and row.</summary>
    public readonly int Items => Tables.Shape.Chunks * Tables.Count;

    /// <summary>Builds the tables [begin, end), rows fastest.</summary>
    public readonly void Build(int begin, int end)
    {
        CodebookShape shape = Tables.Shape;
        TableSource source = new(Vectors);
        for (int item = begin; item < end; item++)
        {
            (int chunk, int input) = Math.DivRem(item, Tables.Count);
            int first = chunk * shape.ChunkGroups * shape.Dimension;
            int groups = shape.GroupsOf(chunk);
            int columns = Math.Min(groups * shape.Dimension, shape.Columns - first);
            float* x = X + ((Rows == null ? input : Rows[input]) * XStride);
            *Tables.Step(chunk, input) =
                TableBuilder.Build(source, groups, x + first, first, columns, Tables.Table(chunk, input));
        }
    }
}
