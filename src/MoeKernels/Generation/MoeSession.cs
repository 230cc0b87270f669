using System.Runtime.InteropServices;
using MoeKernels.Cpu;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Text;

namespace MoeKernels.Generation;

/// <summary>One text in progress over a shared model: its tokens, its caches and its sampler.</summary>
/// <remarks>
/// A session is used by one thread at a time; any number of sessions of one model run side by side. A call that fails
/// or is cancelled leaves the session at the last finished position, ready for more.
/// </remarks>
public sealed partial class MoeSession : IDisposable
{
    private readonly SessionModel _model;
    private readonly SessionOptions _options;
    private readonly SequenceState _state;
    private readonly Workspace _workspace;
    private readonly ForwardContext _context;
    private readonly IDisposable _lease;
    private readonly List<int> _tokens;
    private readonly float[] _logits;
    private int _busy;
    private volatile bool _disposed;

    private MoeSession(SessionModel model, SessionOptions options, IDisposable lease)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.PrefillChunk, 1, nameof(options.PrefillChunk));
        ContextLength = options.ContextLength ?? model.ContextLength;
        ArgumentOutOfRangeException.ThrowIfLessThan(ContextLength, 1, nameof(options.ContextLength));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            ContextLength, model.Transformer.Description.MaxContext, nameof(options.ContextLength));
        _model = model;
        _options = options with { PrefillChunk = Math.Min(options.PrefillChunk, ContextLength) };
        _lease = lease;
        _tokens = new List<int>(ContextLength + 1);
        _logits = new float[model.Transformer.Description.VocabularySize];
        _state = model.Transformer.CreateSequence(ContextLength);
        try
        {
            // A source is encoded in one call: its tokens see each other in both directions.
            int rows = HasEncoder ? ContextLength : _options.PrefillChunk;
            _workspace = new Workspace(model.Transformer.ScratchFloats(rows, ContextLength, model.Pool.Threads));
        }
        catch
        {
            _state.Dispose();
            throw;
        }

        _context = new ForwardContext(model.Pool, _workspace);
    }

    /// <summary>Starts a session that keeps the model's memory alive until it is disposed.</summary>
    internal static MoeSession Create(SessionModel model, SessionOptions options)
    {
        var lease = model.Lease();
        try
        {
            return new MoeSession(model, options, lease);
        }
        catch
        {
            lease.Dispose();
            throw;
        }
    }

    /// <summary>Most tokens the session can hold.</summary>
    public int ContextLength { get; }

    /// <summary>Tokens computed so far.</summary>
    public int Position => _state.Position;

    /// <summary>The text so far as tokens. The last token of an answer is part of it although it is computed only when
    /// the session goes on.</summary>
    public IReadOnlyList<int> Tokens => _tokens;

    /// <summary>Figures of the last answer.</summary>
    public GenerationStats LastStats { get; private set; }

    /// <summary>Appends tokens and computes the logits after the last one.</summary>
    /// <param name="tokens">At least one token id.</param>
    /// <param name="lastLogits">Receives [vocabulary] logits.</param>
    /// <param name="cancellationToken">Checked between layers and between chunks of
    /// <see cref="SessionOptions.PrefillChunk"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A token id is outside the vocabulary.</exception>
    /// <exception cref="ArgumentException">No tokens, or <paramref name="lastLogits"/> has the wrong
    /// length.</exception>
    /// <exception cref="MoeContextException">The context is too short.</exception>
    /// <exception cref="MoeNonFiniteException">A router's logits are not numbers.</exception>
    /// <exception cref="InvalidOperationException">An encoder-decoder has no source yet, or another call is using the
    /// session.</exception>
    public void Forward(ReadOnlySpan<int> tokens, Span<float> lastLogits, CancellationToken cancellationToken = default)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException("There must be at least one token.", nameof(tokens));
        }

        if (lastLogits.Length != _logits.Length)
        {
            throw new ArgumentException($"Must hold {_logits.Length} logits.", nameof(lastLogits));
        }

        using var use = Enter();
        DropPending();
        Compute(tokens, lastLogits, null, cancellationToken);
    }

    /// <summary>Reads the source of an encoder-decoder and starts its answer anew.</summary>
    /// <param name="source">Token ids, at most <see cref="ContextLength"/>.</param>
    /// <param name="cancellationToken">Checked between layers; on cancellation the source before stays.</param>
    /// <exception cref="InvalidOperationException">The model has no encoder.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A token id is outside the vocabulary.</exception>
    /// <exception cref="ArgumentException">The source is empty.</exception>
    /// <exception cref="MoeContextException">The source is too long.</exception>
    public void Encode(ReadOnlySpan<int> source, CancellationToken cancellationToken = default)
    {
        using var use = Enter();
        EncodeSource(source, cancellationToken);
    }

    /// <summary>Forgets everything from a position on.</summary>
    /// <param name="position">Between 0 and <see cref="Position"/>.</param>
    /// <param name="cancellationToken">Models with a recurrent state (Qwen3-Next) compute the tokens before
    /// <paramref name="position"/> anew; this cancels that and leaves the session empty.</param>
    public void RewindTo(int position, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(position);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(position, Position);
        using var use = Enter();
        Rewind(position, cancellationToken);
    }

    /// <summary>A second session that stands where this one does; the two go on independently.</summary>
    public MoeSession Fork()
    {
        using var use = Enter();
        var fork = Create(_model, _options with { ContextLength = ContextLength });
        fork._state.CopyFrom(_state);
        fork._tokens.AddRange(_tokens);
        return fork;
    }

    /// <summary>Frees the caches, at once or when the call in progress ends. The model stays loaded.</summary>
    public void Dispose()
    {
        _disposed = true;
        FreeIfIdle();
    }

    private bool HasEncoder => _model.Transformer.Description.Encoder is not null;

    private void EncodeSource(ReadOnlySpan<int> source, CancellationToken cancellationToken)
    {
        if (source.IsEmpty)
        {
            throw new ArgumentException("The source must have at least one token.", nameof(source));
        }

        if (source.Length > ContextLength)
        {
            throw new MoeContextException(0, source.Length, ContextLength);
        }

        Rewind(0, cancellationToken);
        _context.Cancellation = cancellationToken;
        _context.Batch.Clear();
        _context.Batch.AddSource(_state, SourceMask.All(source.Length));
        _model.Transformer.Encode(_context, source);
    }

    private void Rewind(int position, CancellationToken cancellationToken)
    {
        if (position > 0 && position < Position && !_state.CanRewind)
        {
            int[] kept = [.. _tokens.Take(position)];
            Rewind(0, cancellationToken);
            Compute(kept, _logits, null, cancellationToken);
            return;
        }

        _state.Rewind(position);
        _tokens.RemoveRange(position, _tokens.Count - position);
    }

    /// <summary>Adds tokens to the text and computes all that is not computed yet, chunk by chunk. A failure takes back
    /// what was not reached, so that text and caches never differ.</summary>
    private void Compute(
        ReadOnlySpan<int> tokens,
        Span<float> logits,
        IProgress<PrefillProgress>? progress,
        CancellationToken cancellationToken)
    {
        int total = _tokens.Count - Position + tokens.Length;
        if (total > ContextLength - Position)
        {
            throw new MoeContextException(Position, total, ContextLength);
        }

        _tokens.AddRange(tokens);
        _context.Cancellation = cancellationToken;
        try
        {
            for (int done = 0; done < total;)
            {
                done += ComputeChunk(logits);
                progress?.Report(new PrefillProgress(done, total));
            }
        }
        catch
        {
            DropPending();
            throw;
        }
    }

    private int ComputeChunk(Span<float> logits)
    {
        _context.Cancellation.ThrowIfCancellationRequested();
        var chunk = CollectionsMarshal.AsSpan(_tokens)[Position..];
        bool last = chunk.Length <= _options.PrefillChunk;
        if (!last)
        {
            chunk = chunk[.._options.PrefillChunk];
        }

        _context.Batch.Clear();
        _context.Batch.Add(_state, chunk.Length);
        _model.Transformer.Forward(_context, chunk, last ? LogitRows.Last : LogitRows.None, last ? logits : default);
        return chunk.Length;
    }

    /// <summary>Removes tokens that are not computed: the last one of an answer, or what a failed call did not
    /// reach.</summary>
    private void DropPending() => _tokens.RemoveRange(Position, _tokens.Count - Position);

    private Use Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Interlocked.Exchange(ref _busy, 1) != 0)
        {
            throw new InvalidOperationException(
                "The session is in use: one call at a time. Sessions of one model may run side by side.");
        }

        return new Use(this);
    }

    /// <summary>Whoever finds a disposed session idle makes it busy for good and frees it: once.</summary>
    private void FreeIfIdle()
    {
        if (_disposed && Interlocked.CompareExchange(ref _busy, 1, 0) == 0)
        {
            _state.Dispose();
            _workspace.Dispose();
            _lease.Dispose();
        }
    }

    private readonly struct Use(MoeSession session) : IDisposable
    {
        public void Dispose()
        {
            Volatile.Write(ref session._busy, 0);
            session.FreeIfIdle();
        }
    }
}

/// <summary>What sessions share: the loaded model and what belongs to it.</summary>
/// <param name="Path">Folder, for messages.</param>
/// <param name="Transformer">Weights and layers.</param>
/// <param name="Pool">Worker threads.</param>
/// <param name="Tokenizer">Null when the model folder has none.</param>
/// <param name="Defaults">Sampling defaults and end-of-sequence tokens.</param>
/// <param name="ContextLength">Context of sessions that do not say.</param>
/// <param name="Lease">Keeps the model's memory alive until disposed.</param>
internal sealed record SessionModel(
    string Path,
    Transformer Transformer,
    WorkerPool Pool,
    Tokenizer? Tokenizer,
    GenerationDefaults Defaults,
    int ContextLength,
    Func<IDisposable> Lease)
{
    /// <summary>What the decoder of an encoder-decoder starts from.</summary>
    public int[] DecoderStart { get; } = [Transformer.Description.DecoderStartToken ?? 0];
}
