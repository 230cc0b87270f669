using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace MoeKernels.Generation;

public sealed partial class MoeSession
{
    // A slow reader holds the model back after this many tokens.
    private const int UpdatesAhead = 16;

    /// <summary>Continues the session's text with a prompt and streams the model's answer.</summary>
    /// <param name="prompt">Text; special tokens of the model in it are recognised. The first prompt of a session gets
    /// the tokenizer's own special tokens (such as begin-of-sequence) around it.</param>
    /// <param name="options">Length, sampling and stop texts.</param>
    /// <param name="cancellationToken">Stops within one token; the session stays usable.</param>
    /// <returns>Updates whose texts concatenate to the answer. Leaving the enumeration early stops the work.</returns>
    /// <exception cref="ArgumentException">An option is out of range, or there is nothing to continue.</exception>
    /// <exception cref="MoeContextException">The prompt does not fit the context.</exception>
    /// <exception cref="MoeUnsupportedException">The model folder has no tokenizer.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public IAsyncEnumerable<TokenUpdate> GenerateAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        var tokenizer = _model.Tokenizer
            ?? throw new MoeUnsupportedException("text prompts without a tokenizer.json", _model.Path);
        var encoding = tokenizer.Encode(prompt, addSpecialTokens: _tokens.Count == 0 || HasEncoder);
        return GenerateAsync(encoding.Ids, options, cancellationToken);
    }

    /// <summary>Continues the session with prompt tokens and streams the model's answer.</summary>
    /// <param name="promptTokens">Appended as they are; may be empty when the session already holds tokens. For an
    /// encoder-decoder they are the source, and the answer starts anew.</param>
    /// <param name="options">Length, sampling and stop texts.</param>
    /// <param name="cancellationToken">Stops within one token; the session stays usable.</param>
    public async IAsyncEnumerable<TokenUpdate> GenerateAsync(
        ReadOnlyMemory<int> promptTokens,
        GenerationOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new GenerationOptions();
        var settings = SamplingSettings.Resolve(options, _model.Defaults);
        using var use = Enter();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var updates = Channel.CreateBounded<TokenUpdate>(
            new BoundedChannelOptions(UpdatesAhead) { SingleReader = true, SingleWriter = true });
        var work = Task.Factory.StartNew(
            () => Produce(promptTokens, options, settings, updates.Writer, stop.Token),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        try
        {
            await foreach (var update in updates.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                yield return update;
            }

            await work.ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Makes the session start with exactly these tokens, keeping what it has in common with them.</summary>
    /// <param name="tokens">The whole text as it should be, for example a conversation rendered anew.</param>
    /// <param name="cancellationToken">As in <see cref="RewindTo"/>.</param>
    /// <returns>How many of the tokens are cached; give the rest to <see cref="GenerateAsync(ReadOnlyMemory{int},
    /// GenerationOptions?, CancellationToken)"/>. At least one token is always left.</returns>
    public int KeepCommonPrefix(ReadOnlySpan<int> tokens, CancellationToken cancellationToken = default)
    {
        using var use = Enter();
        int common = 0;
        while (common < Math.Min(tokens.Length - 1, Position) && tokens[common] == _tokens[common])
        {
            common++;
        }

        Rewind(common, cancellationToken);
        return common;
    }

    private void Produce(
        ReadOnlyMemory<int> prompt,
        GenerationOptions options,
        SamplingSettings settings,
        ChannelWriter<TokenUpdate> updates,
        CancellationToken cancellationToken)
    {
        try
        {
            Answer(prompt.Span, options, settings, updates, cancellationToken);
            updates.Complete();
        }
        catch (Exception exception)
        {
            // The reader gets the error itself, not a ChannelClosedException around it.
            updates.Complete();
            if (exception is OperationCanceledException)
            {
                throw new OperationCanceledException(cancellationToken);
            }

            throw;
        }
    }

    private void Answer(
        ReadOnlySpan<int> prompt,
        GenerationOptions options,
        SamplingSettings settings,
        ChannelWriter<TokenUpdate> updates,
        CancellationToken cancellationToken)
    {
        if (prompt.IsEmpty && _tokens.Count == 0)
        {
            throw new ArgumentException("There is nothing to continue: prompt and session are empty.", nameof(prompt));
        }

        var clock = Stopwatch.StartNew();
        if (HasEncoder)
        {
            EncodeSource(prompt, cancellationToken);
            prompt = _model.DecoderStart;
        }

        int cached = Position;
        Compute(prompt, _logits, options.PrefillProgress, cancellationToken);
        int promptTokens = Position;
        var prefillTime = clock.Elapsed;
        var writer = new AnswerWriter(_model, options, settings, updates, cancellationToken);
        var finish = writer.Start();
        while (finish == FinishReason.None)
        {
            bool last = writer.Produced + 1 == settings.MaxNewTokens || Position == ContextLength;
            finish = writer.Next(_logits, _tokens, last, out int token);
            _tokens.Add(token);
            if (finish == FinishReason.None)
            {
                Compute([], _logits, null, cancellationToken);
            }
        }

        LastStats = new GenerationStats(
            promptTokens, cached, writer.Produced, prefillTime, clock.Elapsed - prefillTime);
    }
}
