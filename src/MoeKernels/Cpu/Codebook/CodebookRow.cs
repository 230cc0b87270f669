using System.Runtime.CompilerServices;

namespace MoeKernels.Cpu;

/// <summary>Widens rows of codebook matrices.</summary>
internal static unsafe class CodebookRow
{
    /// <summary>Writes columns <c>[column, column + count)</c> of a row, as <see cref="WeightElement"/> defines
    /// them.</summary>
    [SkipLocalsInit]
    public static void Unpack(in WeightMatrix w, int row, int column, int count, float* destination)
    {
        CodebookShape shape = w.CodebookShape;
        int chunkColumns = shape.ChunkGroups * shape.Dimension;
        byte* codes = stackalloc byte[CodebookShape.MaxChunkEntries];
        float scale = (float)((Half*)w.Scales)[row];
        for (int end = column + count; column < end;)
        {
            int chunk = column / chunkColumns;
            int first = column - (chunk * chunkColumns);
            int last = Math.Min(end - (chunk * chunkColumns), chunkColumns);
            Gather(w, shape, row, chunk, first / shape.Dimension, (last - 1) / shape.Dimension, codes);
            Widen(w.Vectors, codes, first, last, chunk * chunkColumns, scale, destination);
            destination += last - first;
            column += last - first;
        }
    }

    /// <summary>Copies the codes of some groups of a chunk. Each is in a cache line of its own, so they are fetched
    /// before anything is computed.</summary>
    private static void Gather(
        in WeightMatrix w, CodebookShape shape, int row, int chunk, int firstGroup, int lastGroup, byte* codes)
    {
        int start = chunk * shape.ChunkGroups * shape.Stages;
        int entries = shape.EntriesOf(chunk);
        int blocks = shape.BlocksOf(row / (CodebookShape.BlockRows * CodebookShape.StripBlocks));
        byte* zero = w.Data + shape.ByteOf(row, start);
        int end = (lastGroup + 1) * shape.Stages;
        for (int entry = firstGroup * shape.Stages; entry < end; entry++)
        {
            int line = ((entry & ~1) * blocks) + (entry & 1);
            bool isHalfPair = (entry | 1) == entries;
            codes[entry] = isHalfPair
                ? w.Data[shape.ByteOf(row, start + entry)]
                : zero[line * CodebookShape.BlockRows];
        }
    }

    /// <summary>Adds up the signed vectors of the columns [first, last) of a chunk.</summary>
    private static void Widen(
        CodebookVectors* vectors, byte* codes, int first, int last, int chunkColumn, float scale, float* destination)
    {
        int* sums = stackalloc int[CodebookShape.MaxDimension];
        for (int column = first; column < last;)
        {
            (int group, int k) = Math.DivRem(column, vectors->Dimension);
            int count = Math.Min(vectors->Dimension - k, last - column);
            for (int stage = 0; stage < vectors->Stages; stage++)
            {
                byte code = codes[(group * vectors->Stages) + stage];
                for (int i = 0; i < count; i++)
                {
                    int number = vectors->Number(stage, code & 127, k + i);
                    sums[i] = (stage == 0 ? 0 : sums[i]) + (code < 128 ? number : -number);
                }
            }

            for (int i = 0; i < count; i++, column++)
                *destination++ = scale * sums[i] * vectors->InputScale(chunkColumn + column);
        }
    }
}
