namespace MoeKernels.Cpu;

/// <summary>Widens rows of codebook matrices.</summary>
internal static unsafe class CodebookRow
{
    /// <summary>Writes columns <c>[column, column + count)</c> of a row, as <see cref="WeightElement"/> defines
    /// them.</summary>
    public static void Unpack(in WeightMatrix w, int row, int column, int count, float* destination)
    {
        CodebookVectors* vectors = w.Vectors;
        CodebookShape shape = w.CodebookShape;
        int* sums = stackalloc int[CodebookShape.MaxDimension];
        float scale = (float)((Half*)w.Scales)[row];
        for (int end = column + count; column < end;)
        {
            (int group, int k) = Math.DivRem(column, shape.Dimension);
            int numbers = Math.Min(shape.Dimension - k, end - column);
            for (int stage = 0; stage < shape.Stages; stage++)
            {
                byte code = w.Data[shape.ByteOf(row, (group * shape.Stages) + stage)];
                for (int i = 0; i < numbers; i++)
                {
                    int number = vectors->Number(stage, code & 127, k + i);
                    sums[i] = (stage == 0 ? 0 : sums[i]) + (code < 128 ? number : -number);
                }
            }

            for (int i = 0; i < numbers; i++)
                *destination++ = scale * sums[i] * vectors->InputScale(column++);
        }
    }
}
