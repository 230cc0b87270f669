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
                WeightRow.Widen(matrix, ids[i], row);
                if (scale != 1)
                    Vec.Scale(row, scale, row, matrix.Columns);
            }
        }
    }
}
