using MoeKernels.Cpu;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Models.Execution;

/// <summary>Runs a batch in one forward call and keeps what comparisons with other engines need: logits of every
/// position, and on request the residual streams and what the routers did.</summary>
/// <remarks>
/// Names and shapes are those of the reference outputs: <c>logits</c> [B, T, vocabulary],
/// <c>hidden.{i}</c> [B, T, hidden] with <c>encoder.</c> or <c>decoder.</c> in front for encoder-decoder models,
/// <c>router.{module}.*</c> [B·T, ...].
/// </remarks>
internal sealed class ForwardRecorder : IForwardTrace
{
    private readonly List<RecordedTensor> _tensors = [];
    private readonly int _sequences;

    private ForwardRecorder(int sequences, bool hidden, bool router)
    {
        (_sequences, WantsHidden, WantsRouter) = (sequences, hidden, router);
    }

    /// <inheritdoc/>
    public bool WantsHidden { get; }

    /// <inheritdoc/>
    public bool WantsRouter { get; }

    /// <summary>Runs a batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pool">Threads.</param>
    /// <param name="input">Token ids.</param>
    /// <param name="hidden">Keep the residual stream before every block and after the last norm.</param>
    /// <param name="router">Keep the routers' inputs, logits, ids and weights.</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <exception cref="ArgumentException">The input does not suit the model: decoder ids are missing or of no use, a
    /// token id is not in the vocabulary, a sequence is all padding, or the logits are more than 2^31.</exception>
    /// <exception cref="MoeUnsupportedException">A decoder-only batch is padded other than at its ends.</exception>
    /// <exception cref="MoeOutOfMemoryException">Caches and workspace do not fit the memory.</exception>
    /// <exception cref="MoeNonFiniteException">A router met NaN or infinity.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static IReadOnlyList<RecordedTensor> Run(
        Transformer model, WorkerPool pool, ForwardInput input, bool hidden, bool router,
        CancellationToken cancellation = default)
    {
        bool encodes = model.Description.Encoder is not null;
        int[] ids = CheckedDecoderIds(model, input, encodes);
        int length = ids.Length / input.Sequences;
        long logitCount = (long)ids.Length * model.Description.VocabularySize;
        if (logitCount > Array.MaxLength)
            throw new ArgumentException($"{logitCount} logits are too many for one call.", nameof(input));

        var recorder = new ForwardRecorder(input.Sequences, hidden, router);
        using var workspace = new Workspace(model.ScratchFloats(
            Math.Max(input.Ids.Length, ids.Length), Math.Max(input.Length, length), pool.Threads));
        var context = new ForwardContext(pool, workspace) { Trace = recorder, Cancellation = cancellation };
        var states = new List<SequenceState>(input.Sequences);
        try
        {
            for (int i = 0; i < input.Sequences; i++)
                states.Add(model.CreateSequence(length));
            if (encodes)
                Encode(model, context, states, input);
            context.Batch.Clear();
            states.ForEach(state => context.Batch.Add(state, length));
            float[] logits = new float[logitCount];
            model.Forward(context, ids, LogitRows.All, logits);
            recorder.Keep("logits", logits, null, ids.Length, model.Description.VocabularySize, bySequence: true);
        }
        finally
        {
            states.ForEach(state => state.Dispose());
        }

        return recorder._tensors;
    }

    /// <inheritdoc/>
    public void Record(string name, ReadOnlySpan<float> values, int rows, int columns) =>
        Keep(name, values.ToArray(), null, rows, columns, IsBySequence(name));

    /// <inheritdoc/>
    public void Record(string name, ReadOnlySpan<int> values, int rows, int columns) =>
        Keep(name, null, values.ToArray(), rows, columns, IsBySequence(name));

    private static int[] CheckedDecoderIds(Transformer model, ForwardInput input, bool encodes)
    {
        if (encodes)
        {
            return input.DecoderIds
                ?? throw new ArgumentException("An encoder-decoder model needs decoder_input_ids.", nameof(input));
        }

        if (input.DecoderIds is not null)
            throw new ArgumentException("The model has no encoder and no use for decoder_input_ids.", nameof(input));

        // Behind a sequence's end padding cannot reach its tokens; anywhere else it would shift their positions.
        for (int row = 0; input.Mask is { } mask && row < input.Sequences; row++)
        {
            var visible = new SourceMask(mask.AsSpan(row * input.Length, input.Length));
            if (visible.HasHoles || visible.First > 0)
                throw new MoeUnsupportedException("padding before or between a decoder's tokens", "attention_mask");
        }

        return input.Ids;
    }

    private static void Encode(
        Transformer model, ForwardContext context, List<SequenceState> states, ForwardInput input)
    {
        for (int i = 0; i < states.Count; i++)
        {
            SourceMask mask = input.Mask is { } all
                ? new SourceMask(all.AsSpan(i * input.Length, input.Length))
                : SourceMask.All(input.Length);
            context.Batch.AddSource(states[i], mask);
        }

        model.Encode(context, input.Ids);
    }

    /// <summary>Routers see a flat list of tokens, everything else keeps its sequences apart.</summary>
    private static bool IsBySequence(string name) => !name.StartsWith("router.", StringComparison.Ordinal);

    private void Keep(string name, float[]? values, int[]? integers, int rows, int columns, bool bySequence)
    {
        long[] shape = columns == 0 ? [rows] : bySequence ? [_sequences, rows / _sequences, columns] : [rows, columns];
        _tensors.Add(new RecordedTensor(name, shape, values, integers));
    }
}
