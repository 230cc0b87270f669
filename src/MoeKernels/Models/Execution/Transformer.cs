using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Models.Loading;

namespace MoeKernels.Models.Execution;

/// <summary>A loaded model: weights and the order of computation. Immutable; any number of threads may run it at a
/// time, each with its own <see cref="ForwardContext"/> and sequences.</summary>
internal sealed unsafe class Transformer : IDisposable
{
    private readonly ModelMemory _memory;
    private readonly StackInput _input;
    private readonly IStack _decoder;
    private readonly IHead _head;
    private readonly IStateful[] _stateful;
    private readonly EncoderParts? _encoder;

    /// <summary>Takes over the loaded parts.</summary>
    /// <param name="description">What the parts were built from.</param>
    /// <param name="memory">Owner of everything they point to; disposed with the model.</param>
    /// <param name="parts">Embedding, stacks and head.</param>
    public Transformer(ModelDescription description, ModelMemory memory, TransformerParts parts)
    {
        Description = description;
        _memory = memory;
        (_input, _decoder, _head, _stateful) = (parts.Input, parts.Decoder, parts.Head, parts.Stateful);
        _encoder = parts.Encoder;
    }

    /// <summary>The model as data.</summary>
    public ModelDescription Description { get; }

    /// <summary>Bytes of weights that are copies rather than views of the files.</summary>
    public long CopiedBytes => _memory.CopiedBytes;

    /// <summary>An empty sequence.</summary>
    /// <param name="contextLength">Most positions it will hold.</param>
    /// <exception cref="MoeOutOfMemoryException">The caches do not fit the memory.</exception>
    public SequenceState CreateSequence(int contextLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(contextLength);
        var states = new List<LayerState>(_stateful.Length);
        try
        {
            foreach (IStateful part in _stateful)
                states.Add(part.CreateState(contextLength)!);
        }
        catch
        {
            states.ForEach(state => state.Dispose());
            throw;
        }

        return new SequenceState([.. states], contextLength);
    }

    /// <summary>Floats of the workspace that a forward call needs at most.</summary>
    /// <param name="rows">Rows of the largest batch, of sources or of decoder tokens.</param>
    /// <param name="contextLength">Longest context or source of a sequence in it.</param>
    /// <param name="threads">Workers of the pool.</param>
    public long ScratchFloats(int rows, int contextLength, int threads) =>
        ScratchFloats(Description, rows, contextLength, threads);

    /// <inheritdoc cref="ScratchFloats(int, int, int)"/>
    public static long ScratchFloats(ModelDescription description, int rows, int contextLength, int threads)
    {
        long largest = description.Stacks.Max(stack => stack.Blocks.Max(block => block.Sublayers.Max(
            sublayer => sublayer.Layer.ScratchFloats(rows, contextLength, threads))));
        long head = Workspace.Rounded((long)rows * description.Hidden);
        return head + Math.Max(Stack.ScratchFloats(rows, description.Hidden) + largest, head);
    }

    /// <summary>Runs the encoder over the sources of the batch; each sequence then remembers what its decoder
    /// reads.</summary>
    /// <param name="context">Threads, workspace and a batch of sources (<see cref="ForwardBatch.AddSource"/>).</param>
    /// <param name="tokens">Token ids of all rows, padding included.</param>
    /// <exception cref="InvalidOperationException">The model has no encoder.</exception>
    /// <inheritdoc cref="Forward" path="/exception"/>
    /// <remarks>A sequence keeps its source over <see cref="SequenceState.Rewind"/> until the next call. An exception
    /// before the end of the encoder leaves every sequence's source as it was.</remarks>
    public void Encode(ForwardContext context, ReadOnlySpan<int> tokens)
    {
        EncoderParts encoder = _encoder ?? throw new InvalidOperationException("The model has no encoder.");
        CheckArguments(context.Batch, tokens, sources: true);
        using Lifetime.Lease lease = _memory.Acquire();
        long mark = context.Workspace.Mark();
        try
        {
            float* hidden = context.Workspace.Take((long)tokens.Length * Description.Hidden);
            encoder.Input.Forward(context, tokens, hidden);
            encoder.Stack.Forward(context, hidden);
            foreach (IEncoderReader reader in encoder.Readers)
                reader.Remember(context, hidden);
        }
        finally
        {
            context.Workspace.Release(mark);
        }
    }

    /// <summary>Computes the next tokens of the batch's sequences and advances these.</summary>
    /// <param name="context">Threads, workspace and the batch; <see cref="ForwardBatch.Rows"/> counts the
    /// tokens.</param>
    /// <param name="tokens">Token ids of all rows.</param>
    /// <param name="rows">Which rows' logits are wanted.</param>
    /// <param name="logits">Receives them, [rows × vocabulary]; longer spans are allowed.</param>
    /// <exception cref="ArgumentOutOfRangeException">A token id is not in the vocabulary.</exception>
    /// <exception cref="ArgumentException">The tokens are not as many as the batch's rows, or the logits do not
    /// fit.</exception>
    /// <exception cref="InvalidOperationException">A sequence of an encoder-decoder has no source yet.</exception>
    /// <exception cref="MoeNonFiniteException">A router met NaN or infinity.</exception>
    /// <exception cref="OperationCanceledException">Cancelled between two layers.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    /// <remarks>After an exception every sequence is where it was before.</remarks>
    public void Forward(ForwardContext context, ReadOnlySpan<int> tokens, LogitRows rows, Span<float> logits)
    {
        CheckArguments(context.Batch, tokens, sources: false);
        if (logits.Length < LogitCount(context.Batch, rows))
            throw new ArgumentException($"{logits.Length} floats are too few for the logits.", nameof(logits));
        using Lifetime.Lease lease = _memory.Acquire();
        long mark = context.Workspace.Mark();
        try
        {
            float* hidden = context.Workspace.Take((long)tokens.Length * Description.Hidden);
            _input.Forward(context, tokens, hidden);
            _decoder.Forward(context, hidden);
            fixed (float* target = logits)
                Head(context, hidden, rows, target);
        }
        finally
        {
            context.Workspace.Release(mark);
        }

        foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
            sequence.State.Advance(sequence.Rows);
    }

    public void Dispose() => _memory.Dispose();

    /// <summary>Logits that a call writes.</summary>
    public long LogitCount(ForwardBatch batch, LogitRows rows) => Description.VocabularySize * rows switch
    {
        LogitRows.None => 0L,
        LogitRows.Last => batch.Sequences.Length,
        _ => batch.Rows,
    };

    private void CheckArguments(ForwardBatch batch, ReadOnlySpan<int> tokens, bool sources)
    {
        if (tokens.Length != batch.Rows)
            throw new ArgumentException($"{tokens.Length} tokens for a batch of {batch.Rows} rows.", nameof(tokens));
        if (batch.HoldsSources != sources)
        {
            string wanted = sources ? "sources" : "decoder tokens";
            throw new ArgumentException($"The batch must hold {wanted}.", nameof(batch));
        }

        foreach (ref readonly SequenceRows sequence in batch.Sequences)
        {
            if (sequence.Position != sequence.State.Position)
                throw new ArgumentException("A sequence has moved since it was added to the batch.", nameof(batch));
        }

        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)Description.VocabularySize)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(tokens), token, $"Token ids are below the vocabulary size of {Description.VocabularySize}.");
            }
        }
    }

    private void Head(ForwardContext context, float* hidden, LogitRows rows, float* logits)
    {
        int count = context.Batch.Rows;
        if (rows == LogitRows.None)
            return;
        if (rows == LogitRows.Last)
        {
            float* last = context.Workspace.Take((long)context.Batch.Sequences.Length * Description.Hidden);
            count = 0;
            foreach (ref readonly SequenceRows sequence in context.Batch.Sequences)
            {
                nint row = sequence.FirstRow + sequence.Rows - 1;
                new ReadOnlySpan<float>(hidden + (row * Description.Hidden), Description.Hidden)
                    .CopyTo(new(last + ((nint)count++ * Description.Hidden), Description.Hidden));
            }

            hidden = last;
        }

        if (Description.HeadInputScale != 1)
            Vec.Scale(hidden, Description.HeadInputScale, hidden, count * Description.Hidden);
        _head.Forward(context, hidden, count, logits);
    }
}
