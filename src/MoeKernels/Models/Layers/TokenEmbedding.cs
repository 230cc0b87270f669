using MoeKernels.Cpu;

namespace MoeKernels.Models.Layers;

/// <summary>Looks up rows of the embedding, in whatever format they are stored.</summary>
/// <param name="matrix">[vocabulary × hidden].</param>
/// <param name="scale">Multiplies the rows.</param>
internal sealed unsafe class TokenEmbedding(WeightMatrix matrix, float scale)
{
    /// <summary>Writes the rows of <paramref name="tokens"/>, each a valid id, to y [tokens × hidden].</summary>
    public void Forward(WorkerPool pool, ReadOnlySpan<int> tokens, float* y)
    {
        fixed (int* ids = tokens)
        {
            LookupWork work = new(matrix, scale, ids, y);
            pool.Run(ref work, tokens.Length);
        }
    }

    private readonly struct LookupWork(WeightMatrix matrix, float scale, int* ids, float* y) : IWork
    {
        public void Execute(int begin, int end, int worker)
        {
            for (int i = begin; i < end; i++)
            {
                float* row = y + ((nint)i * matrix.Columns);
                Widen(ids[i], row);
                if (scale != 1)
                    Vec.Scale(row, scale, row, matrix.Columns);
            }
        }

        private void Widen(int id, float* row)
        {
            byte* stored = matrix.Row(id);
            switch (matrix.Format)
            {
                case WeightFormat.F32:
                    Buffer.MemoryCopy(stored, row, matrix.Columns * sizeof(float), matrix.Columns * sizeof(float));
                    break;
                case WeightFormat.BF16:
                    for (int i = 0; i < matrix.Columns; i++)
                        row[i] = BitConverter.UInt32BitsToSingle((uint)((ushort*)stored)[i] << 16);
                    break;
                case WeightFormat.Codebook:
                    CodebookRow.Unpack(matrix, id, 0, matrix.Columns, row);
                    break;
                default:
                    for (int i = 0; i < matrix.Columns; i++)
                        row[i] = WeightElement.Get(matrix, id, i);
                    break;
            }
        }
    }
}
