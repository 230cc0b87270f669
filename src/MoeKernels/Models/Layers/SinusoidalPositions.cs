using MoeKernels.Cpu;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Layers;

/// <summary>M2M-100's sinusoidal positions: the first half of a vector holds sines, the second cosines.</summary>
/// <remarks>Positions count from the padding id on and skip padding tokens, which get the zero vector.</remarks>
internal sealed unsafe class SinusoidalPositions : IStateful
{
    private readonly SinusoidalSpec _spec;
    private readonly int _hidden;
    private readonly float[] _frequencies;

    /// <param name="spec">Padding token and stored type.</param>
    /// <param name="hidden">Elements of a vector, at least 4.</param>
    public SinusoidalPositions(SinusoidalSpec spec, int hidden)
    {
        (_spec, _hidden) = (spec, hidden);
        int half = hidden / 2;

        // Each step is rounded to fp32 as in the reference library: far positions multiply a rounding by thousands.
        float exponent = (float)-(Math.Log(10000) / (half - 1));
        _frequencies = [.. Enumerable.Range(0, half).Select(i => (float)Math.Exp(i * exponent))];
    }

    /// <inheritdoc/>
    public int StateIndex { get; set; } = -1;

    /// <summary>Floats that <see cref="Add"/> takes from the workspace.</summary>
    public static long ScratchFloats(int rows) => Workspace.Rounded(rows);

    /// <inheritdoc/>
    public LayerState CreateState(int contextLength) => new TokenOrdinals(contextLength);

    /// <summary>Adds the positions of all rows of the batch.</summary>
    /// <param name="context">The batch; sources count from their first row, decoder rows from their position.</param>
    /// <param name="tokens">Token ids, [rows].</param>
    /// <param name="hidden">Embedded tokens, [rows × hidden].</param>
    public void Add(ForwardContext context, ReadOnlySpan<int> tokens, float* hidden)
    {
        long mark = context.Workspace.Mark();
        int* ordinals = context.Workspace.TakeInts(tokens.Length);
        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
        {
            TokenOrdinals known = sequence.Mask is null
                ? (TokenOrdinals)sequence.State[StateIndex]
                : new(sequence.Rows);
            for (int i = 0; i < sequence.Rows; i++)
            {
                int row = sequence.FirstRow + i;
                ordinals[row] = known.Note(sequence.Position + i, tokens[row] == _spec.PadToken);
            }
        }

        fixed (float* frequencies = _frequencies)
        {
            AddWork work = new(_spec.PadToken, _spec.StoredAs, frequencies, _hidden, ordinals, hidden);
            context.Pool.Run(ref work, tokens.Length);
        }

        context.Workspace.Release(mark);
    }

    /// <summary>One item a row.</summary>
    private readonly struct AddWork(
        int padToken, ElementType storedAs, float* frequencies, int hidden, int* ordinals, float* rows) : IWork
    {
        public void Execute(int begin, int end, int worker)
        {
            for (int i = begin; i < end; i++)
            {
                if (ordinals[i] != 0)
                    AddRow(rows + ((nint)i * hidden), padToken + ordinals[i]);
            }
        }

        private void AddRow(float* row, int position)
        {
            int half = hidden / 2;
            for (int i = 0; i < half; i++)
            {
                (double sin, double cos) = RopeAngles.SinCos(position * frequencies[i]);
                row[i] += Stored((float)sin);
                row[half + i] += Stored((float)cos);
            }
        }

        private float Stored(float value) => storedAs switch
        {
            ElementType.BF16 => BFloat16.Round(value),
            ElementType.F16 => (float)(Half)value,
            _ => value,
        };
    }
}
