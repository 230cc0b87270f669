using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;

namespace MoeKernels.Generation.Evaluation;

/// <summary>Scores windows of tokens with a model and, side by side, a reference.</summary>
/// <remarks>Protocol: each text is encoded without special tokens and followed by the end-of-sequence token; texts are
/// joined in the order given; window w has inputs ids[W w .. W w + W - 1] and the same shifted by one as targets; the
/// last, partial window is dropped. An encoder-decoder reads the targets of a window as its source and writes them
/// again behind its start token.</remarks>
internal sealed class Evaluator : IDisposable
{
    private readonly WindowScorer _model;
    private readonly WindowScorer? _reference;

    public Evaluator(SessionModel model, SessionModel? reference, EvaluationOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Window, 1, nameof(options.Window));
        ArgumentOutOfRangeException.ThrowIfLessThan(options.WindowsPerCall, 1, nameof(options.WindowsPerCall));
        if (reference is not null
            && reference.Transformer.Description.VocabularySize != model.Transformer.Description.VocabularySize)
        {
            throw new MoeUnsupportedException("a reference with another vocabulary", reference.Path);
        }

        if (reference is not null && HasEncoder(reference) != HasEncoder(model))
            throw new MoeUnsupportedException("a reference that alone has an encoder, or has none", reference.Path);
        _model = new WindowScorer(model, options);
        try
        {
            _reference = reference is null ? null : new WindowScorer(reference, options);
        }
        catch
        {
            _model.Dispose();
            throw;
        }
    }

    /// <summary>Encodes texts for <see cref="Run"/>.</summary>
    public static int[] Encode(SessionModel model, IEnumerable<string> texts)
    {
        var tokenizer = model.Tokenizer
            ?? throw new MoeUnsupportedException("evaluation without a tokenizer.json", model.Path);
        int separator = model.Defaults.EndOfSequence.Count > 0
            ? model.Defaults.EndOfSequence[0]
            : throw new MoeUnsupportedException("evaluation without an end-of-sequence token", model.Path);
        return [.. texts.SelectMany(text => tokenizer.Encode(text, addSpecialTokens: false).Ids.Append(separator))];
    }

    /// <summary>Scores tokens.</summary>
    /// <exception cref="ArgumentException">There are fewer tokens than one window takes.</exception>
    /// <exception cref="MoeNonFiniteException">A text has no finite likelihood or divergence.</exception>
    public EvaluationResult Run(
        ReadOnlySpan<int> tokens,
        EvaluationOptions options,
        IProgress<EvaluationProgress>? progress,
        CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.MaxWindows ?? 1, 1, nameof(options.MaxWindows));
        int windows = Math.Min((tokens.Length - 1) / options.Window, options.MaxWindows ?? int.MaxValue);
        if (windows < 1)
        {
            throw new ArgumentException(
                $"The text has {tokens.Length} tokens; one window takes {options.Window + 1}.", nameof(tokens));
        }

        var sums = new EvaluationSums(_reference is not null);
        for (int done = 0; done < windows;)
        {
            int count = Math.Min(options.WindowsPerCall, windows - done);
            var slice = tokens.Slice(done * options.Window, (count * options.Window) + 1);
            _model.Forward(slice, count, cancellationToken);
            _reference?.Forward(slice, count, cancellationToken);
            sums.Add(_model, _reference, slice[1..]);
            done += count;
            if (!sums.IsFinite)
            {
                throw new MoeNonFiniteException("evaluation", $"the likelihood of window {done} is not finite");
            }

            progress?.Report(new EvaluationProgress(done, windows, sums.Nll / sums.Tokens));
        }

        return sums.Result(windows);
    }

    public void Dispose()
    {
        _model.Dispose();
        _reference?.Dispose();
    }

    private static bool HasEncoder(SessionModel model) => model.Transformer.Description.Encoder is not null;
}

/// <summary>Logits of all positions of a few windows.</summary>
internal sealed class WindowScorer : IDisposable
{
    private readonly SessionModel _model;
    private readonly int _window;
    private readonly SequenceState[] _states;
    private readonly Workspace _workspace;
    private readonly ForwardContext _context;
    private readonly float[] _logits;

    public WindowScorer(SessionModel model, EvaluationOptions options)
    {
        int context = model.Transformer.Description.MaxContext;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Window, context, nameof(options.Window));
        _model = model;
        _window = options.Window;
        _states = new SequenceState[options.WindowsPerCall];
        for (int i = 0; i < _states.Length; i++)
        {
            _states[i] = model.Transformer.CreateSequence(_window);
        }

        int rows = _window * _states.Length;
        _workspace = new Workspace(model.Transformer.ScratchFloats(rows, _window, model.Pool.Threads));
        _context = new ForwardContext(model.Pool, _workspace);
        _logits = new float[(long)rows * Vocabulary];
    }

    /// <summary>Workers of the model.</summary>
    public int Threads => _model.Pool.Threads;

    public int Vocabulary => _model.Transformer.Description.VocabularySize;

    /// <summary>Logits of one input, [vocabulary].</summary>
    public ReadOnlySpan<float> Row(int row) => _logits.AsSpan(row * Vocabulary, Vocabulary);

    /// <summary>Computes the logits of <paramref name="windows"/> windows from empty contexts.</summary>
    /// <param name="tokens">The windows' inputs and one token more.</param>
    /// <param name="windows">Windows.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    public void Forward(ReadOnlySpan<int> tokens, int windows, CancellationToken cancellationToken)
    {
        _context.Cancellation = cancellationToken;
        foreach (SequenceState state in _states)
            state.Rewind(0);
        ReadOnlySpan<int> inputs = _model.Transformer.Description.DecoderStartToken is { } start
            ? Encode(tokens, windows, start)
            : tokens[..^1];
        _context.Batch.Clear();
        for (int i = 0; i < windows; i++)
            _context.Batch.Add(_states[i], _window);
        _model.Transformer.Forward(_context, inputs, LogitRows.All, _logits.AsSpan(0, inputs.Length * Vocabulary));
    }

    /// <summary>Reads the windows' targets as sources; returns the decoder's inputs.</summary>
    private int[] Encode(ReadOnlySpan<int> tokens, int windows, int start)
    {
        _context.Batch.Clear();
        for (int i = 0; i < windows; i++)
            _context.Batch.AddSource(_states[i], SourceMask.All(_window));
        _model.Transformer.Encode(_context, tokens[1..]);
        int[] inputs = tokens[..^1].ToArray();
        for (int i = 0; i < windows; i++)
            inputs[i * _window] = start;
        return inputs;
    }

    public void Dispose()
    {
        foreach (var state in _states)
        {
            state.Dispose();
        }

        _workspace.Dispose();
    }
}
