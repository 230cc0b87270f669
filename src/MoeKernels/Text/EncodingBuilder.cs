namespace MoeKernels.Text;

/// <summary>One token with everything an encoding says about it.</summary>
internal readonly record struct TokenEntry(int Id, string Text, int Start, int End)
{
    /// <summary>A token that a template adds: in no text, at no place.</summary>
    public static TokenEntry Added(int id, string text, int typeId) =>
        new(id, text, 0, 0) { TypeId = typeId, IsSpecial = true };

    public int TypeId { get; init; }

    public bool IsSpecial { get; init; }

    public int? SequenceId { get; init; }

    public int? WordId { get; init; }

    public int Attention { get; init; } = 1;
}

/// <summary>An encoding while truncation, post-processors and padding work on it.</summary>
internal sealed class EncodingBuilder
{
    public List<TokenEntry> Tokens { get; } = [];

    public List<EncodingBuilder> Overflowing { get; } = [];

    public int Length => Tokens.Count;

    public static EncodingBuilder Of(IEnumerable<TokenEntry> tokens)
    {
        var result = new EncodingBuilder();
        result.Tokens.AddRange(tokens);
        return result;
    }

    /// <summary>
    /// This encoding followed by another. Each window of one is paired with the other and all its windows, in the
    /// reference's order.
    /// </summary>
    public EncodingBuilder Concat(EncodingBuilder other)
    {
        var result = Of(Tokens.Concat(other.Tokens));
        foreach (var window in Overflowing)
        {
            result.Overflowing.Add(Of(window.Tokens.Concat(other.Tokens)));
            foreach (var otherWindow in other.Overflowing)
                result.Overflowing.Add(Of(window.Tokens.Concat(otherWindow.Tokens)));
        }

        foreach (var otherWindow in other.Overflowing)
            result.Overflowing.Add(Of(Tokens.Concat(otherWindow.Tokens)));
        return result;
    }

    /// <summary>Changes every token here and in the overflowing windows.</summary>
    public void Update(Func<TokenEntry, int, TokenEntry> change)
    {
        for (var i = 0; i < Tokens.Count; i++)
            Tokens[i] = change(Tokens[i], i);
        foreach (var overflow in Overflowing)
            overflow.Update(change);
    }

    public void SetSequence(int sequence) =>
        Update((t, _) => t.IsSpecial ? t : t with { SequenceId = sequence });
}
