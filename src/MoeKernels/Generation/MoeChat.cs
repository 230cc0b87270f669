using System.Runtime.CompilerServices;
using System.Text;
using MoeKernels.Text;

namespace MoeKernels.Generation;

/// <summary>A conversation in the model's own chat template. What the template renders the same as before stays
/// cached.</summary>
public sealed class MoeChat : IDisposable
{
    private readonly ChatTemplate _template;
    private readonly Tokenizer _tokenizer;
    private readonly List<ChatMessage> _messages = [];

    internal MoeChat(MoeSession session, ChatTemplate template, Tokenizer tokenizer)
    {
        Session = session;
        _template = template;
        _tokenizer = tokenizer;
    }

    /// <summary>The session under the conversation: its position, tokens and figures.</summary>
    public MoeSession Session { get; }

    /// <summary>The messages so far, answers included.</summary>
    public IReadOnlyList<ChatMessage> Messages => _messages;

    /// <summary>Adds a message without answering it, for example a system message.</summary>
    public void AddMessage(string role, string content) => _messages.Add(new ChatMessage(role, content));

    /// <summary>Adds a user message and streams the answer, which becomes part of the conversation when it ends; an
    /// answer that is cancelled or fails is forgotten together with its question.</summary>
    public async IAsyncEnumerable<TokenUpdate> SendAsync(
        string text,
        GenerationOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        AddMessage("user", text);
        bool finished = false;
        try
        {
            string prompt = _template.Render(_messages, new ChatTemplateOptions { AddGenerationPrompt = true });
            int[] tokens = [.. _tokenizer.Encode(prompt, addSpecialTokens: false).Ids];
            int cached = Session.KeepCommonPrefix(tokens, cancellationToken);
            var answer = new StringBuilder();
            var updates = Session.GenerateAsync(tokens.AsMemory(cached), options, cancellationToken);
            await foreach (var update in updates.ConfigureAwait(false))
            {
                answer.Append(update.Text);
                finished = update.Finish != FinishReason.None;
                if (finished)
                {
                    // Before the last update is handed out: the reader may leave with it.
                    AddMessage("assistant", answer.ToString());
                }

                yield return update;
            }
        }
        finally
        {
            if (!finished)
            {
                _messages.RemoveAt(_messages.Count - 1);
            }
        }
    }

    /// <summary>Frees the session.</summary>
    public void Dispose() => Session.Dispose();
}
