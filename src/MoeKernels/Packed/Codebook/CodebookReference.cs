namespace MoeKernels.Packed;

/// <summary>What the lookup kernels compute, in plain loops: their tests compare bit by bit with it.</summary>
internal static unsafe class CodebookReference
{
    /// <summary>Inputs whose largest magnitude in a chunk is below this count as zero.</summary>
    public const float SmallestMagnitude = 1e-30f;

    /// <summary>Weight of the group with a chunk's largest input.</summary>
    public const float LargestWeight = short.MaxValue;

    /// <summary>Step of a chunk whose largest input is 1: its group's numbers end at 127 and their products are
    /// multiplied by <see cref="LargestWeight"/> / 2^15.</summary>
    public const float StepOfLargest = 32768f / (LargestWeight * 127);

    /// <summary>Widens a row to single precision.</summary>
    /// <param name="matrix">The matrix.</param>
    /// <param name="codebook">Its codebook.</param>
    /// <param name="row">Row.</param>
    /// <param name="weights">Output, [columns].</param>
    public static void Unpack(in CodebookMatrix matrix, Codebook codebook, int row, Span<float> weights)
    {
        CodebookShape shape = matrix.Shape;
        for (int column = 0; column < shape.Columns; column++)
        {
            (int group, int k) = Math.DivRem(column, shape.Dimension);
            int sum = 0;
            for (int stage = 0; stage < shape.Stages; stage++)
            {
                byte code = matrix.Code(row, (group * shape.Stages) + stage);
                int number = codebook.Vector(stage, code & 127)[k];
                sum += code < 128 ? number : -number;
            }

            weights[column] = matrix.Scale(row) * sum * codebook.Native->InputScale(column);
        }
    }

    /// <summary>Rounds one chunk of inputs: <c>q = round(127 x / max|x|)</c>, ties to even.</summary>
    /// <param name="x">Inputs.</param>
    /// <param name="q">Output, as long as <paramref name="x"/>.</param>
    /// <returns>The inputs' step, <c>max|x| / 127</c>; NaN with q = 0 where an input is not finite.</returns>
    public static float RoundInputs(ReadOnlySpan<float> x, Span<sbyte> q)
    {
        q.Clear();
        float largest = LargestMagnitude(x);
        if (float.IsNaN(largest) || largest < SmallestMagnitude)
            return float.IsNaN(largest) ? float.NaN : 0;
        for (int i = 0; i < x.Length; i++)
            q[i] = (sbyte)MathF.Round(x[i] * (127 / largest), MidpointRounding.ToEven);
        return largest / 127;
    }

    /// <summary>Rounds one chunk of inputs with a step per group: <c>q = round(127 x / m)</c>, m being the group's
    /// largest magnitude, and the group's step in parts of the chunk's, <c>w = round(32767 m / max m)</c>.</summary>
    /// <param name="x">Inputs, [groups × dimension].</param>
    /// <param name="dimension">Inputs of a group.</param>
    /// <param name="q">Output, as long as <paramref name="x"/>.</param>
    /// <param name="weights">Output, [groups].</param>
    /// <returns>The chunk's step: <c>x ≈ step * w / 2^15 * q</c>. NaN with zeros where an input is not
    /// finite.</returns>
    public static float RoundGroups(ReadOnlySpan<float> x, int dimension, Span<sbyte> q, Span<short> weights)
    {
        q.Clear();
        weights.Clear();
        float largest = LargestMagnitude(x);
        if (float.IsNaN(largest) || largest < SmallestMagnitude)
            return float.IsNaN(largest) ? float.NaN : 0;
        for (int group = 0; group < weights.Length; group++)
        {
            int first = group * dimension;
            float magnitude = LargestMagnitude(x.Slice(first, dimension));
            weights[group] = (short)MathF.Round(magnitude * (LargestWeight / largest), MidpointRounding.ToEven);
            float factor = 127 / MathF.Max(magnitude, SmallestMagnitude);
            for (int i = first; i < first + dimension; i++)
                q[i] = (sbyte)MathF.Round(x[i] * factor, MidpointRounding.ToEven);
        }

        return largest * StepOfLargest;
    }

    /// <summary>Tables of one chunk: 128 dot products per entry, rounded down to the half-odd numbers
    /// -127.5, -126.5 ... 127.5 and stored as 0 ... 255.</summary>
    /// <param name="shape">Sizes of the matrix.</param>
    /// <param name="codebook">Its codebook.</param>
    /// <param name="chunk">Chunk.</param>
    /// <param name="x">All inputs of the token, [columns].</param>
    /// <param name="table">Output, [entries of the chunk × 128].</param>
    /// <returns>Value of half a table step.</returns>
    public static float Table(
        CodebookShape shape, Codebook codebook, int chunk, ReadOnlySpan<float> x, Span<byte> table)
    {
        int first = chunk * shape.ChunkGroups * shape.Dimension;
        int columns = Math.Min(shape.GroupsOf(chunk) * shape.Dimension, shape.Columns - first);
        float[] inputs = new float[shape.GroupsOf(chunk) * shape.Dimension];
        x.Slice(first, columns).CopyTo(inputs);
        for (int i = 0; i < columns && codebook.Native->InputScales != null; i++)
            inputs[i] *= codebook.Native->InputScales[first + i];
        sbyte[] q = new sbyte[inputs.Length];
        short[] weights = new short[shape.GroupsOf(chunk)];
        float step = RoundGroups(inputs, shape.Dimension, q, weights);

        int[] dots = new int[table.Length];
        int largest = 0;
        for (int i = 0; i < dots.Length; i++)
        {
            (int entry, int index) = Math.DivRem(i, CodebookShape.Vectors);
            (int group, int stage) = Math.DivRem(entry, shape.Stages);
            for (int k = 0; k < shape.Dimension; k++)
                dots[i] += codebook.Vector(stage, index)[k] * q[(group * shape.Dimension) + k];
            dots[i] = ((dots[i] * weights[group]) + (1 << 14)) >> 15;
            largest = Math.Max(largest, Math.Abs(dots[i]));
        }

        int factor = Math.Min(short.MaxValue, ((128 << 16) - 1) / Math.Max(largest, 1));
        for (int i = 0; i < dots.Length; i++)
            table[i] = (byte)(((dots[i] * factor) >> 16) + 128);
        return largest == 0 && !float.IsNaN(step) ? 0 : 32768f / factor * step;
    }

    /// <summary>The largest magnitude; NaN where a value is not finite.</summary>
    private static float LargestMagnitude(ReadOnlySpan<float> x)
    {
        float largest = 0;
        foreach (float value in x)
            largest = MathF.Max(largest, float.IsFinite(value) ? MathF.Abs(value) : float.NaN);
        return largest;
    }

    /// <summary>One output: integer sums per chunk, one fused multiply-add per chunk in ascending order, then the row's
    /// scale.</summary>
    /// <param name="matrix">The matrix.</param>
    /// <param name="row">Row.</param>
    /// <param name="tables">Tables of all chunks one after the other, [entries × 128].</param>
    /// <param name="steps">Half steps of the tables, [chunks].</param>
    public static float Row(in CodebookMatrix matrix, int row, ReadOnlySpan<byte> tables, ReadOnlySpan<float> steps)
    {
        CodebookShape shape = matrix.Shape;
        float result = 0;
        int entry = 0;
        for (int chunk = 0; chunk < shape.Chunks; chunk++)
        {
            int halves = 0;
            for (int end = entry + shape.EntriesOf(chunk); entry < end; entry++)
            {
                byte code = matrix.Code(row, entry);
                int value = (2 * tables[(entry * CodebookShape.Vectors) + (code & 127)]) - 255;
                halves += code < 128 ? value : -value;
            }

            result = MathF.FusedMultiplyAdd(halves, steps[chunk], result);
        }

        return matrix.Scale(row) * result;
    }
}
