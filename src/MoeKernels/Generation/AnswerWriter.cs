using System.Threading.Channels;
using MoeKernels.Text;

namespace MoeKernels.Generation;

/// <summary>Turns logits into the updates of one answer: samples, joins bytes to characters, watches for stop
/// texts.</summary>
internal sealed class AnswerWriter
{
    private readonly GenerationOptions _options;
    private readonly SamplingSettings _settings;
    private readonly ChannelWriter<TokenUpdate> _updates;
    private readonly CancellationToken _cancellation;
    private readonly IReadOnlyList<int> _endOfSequence;
    private readonly Sampler _sampler;
    private readonly StopMatcher _stops;
    private readonly DecodeStream? _stream;

    public AnswerWriter(
        SessionModel model,
        GenerationOptions options,
        SamplingSettings settings,
        ChannelWriter<TokenUpdate> updates,
        CancellationToken cancellation)
    {
        _options = options;
        _settings = settings;
        _updates = updates;
        _cancellation = cancellation;
        _endOfSequence = model.Defaults.EndOfSequence;
        _sampler = new Sampler(settings, model.Transformer.Description.VocabularySize);
        _stops = new StopMatcher(options.Stop);
        _stream = model.Tokenizer?.CreateDecodeStream(!options.IncludeSpecialTokens);
    }

    /// <summary>Tokens chosen so far.</summary>
    public int Produced { get; private set; }

    /// <summary>Ends at once when no tokens are wanted.</summary>
    public FinishReason Start()
    {
        if (_settings.MaxNewTokens > 0)
        {
            return FinishReason.None;
        }

        Write(new TokenUpdate(-1, string.Empty, 0, FinishReason.Length));
        return FinishReason.Length;
    }

    /// <summary>Chooses the next token and writes its update.</summary>
    /// <param name="logits">[vocabulary].</param>
    /// <param name="context">All tokens before.</param>
    /// <param name="last">Whether no further token may follow.</param>
    /// <param name="token">Receives the token.</param>
    public FinishReason Next(ReadOnlySpan<float> logits, IReadOnlyList<int> context, bool last, out int token)
    {
        token = _sampler.Next(logits, context, out float logProbability);
        Produced++;
        bool ended = !_options.IgnoreEndOfSequence && _endOfSequence.Contains(token);

        // The end-of-sequence token closes the answer; it is no text of it unless special tokens are asked for.
        string piece = ended && !_options.IncludeSpecialTokens ? string.Empty : _stream?.Push(token) ?? string.Empty;
        string text = _stops.Push(piece, out bool stopped);
        var finish = stopped ? FinishReason.StopText
            : ended ? FinishReason.EndOfSequence
            : last ? FinishReason.Length
            : FinishReason.None;
        if (finish is FinishReason.EndOfSequence or FinishReason.Length)
        {
            text += _stops.Flush();
        }

        Write(new TokenUpdate(token, text, logProbability, finish));
        return finish;
    }

    /// <summary>Hands an update to the reader; waits while the reader is far behind.</summary>
    private void Write(TokenUpdate update)
    {
        while (!_updates.TryWrite(update))
        {
            // The wait ends with the cancellation that leaving the enumeration triggers.
            _updates.WaitToWriteAsync(_cancellation).AsTask().GetAwaiter().GetResult();
        }
    }
}
