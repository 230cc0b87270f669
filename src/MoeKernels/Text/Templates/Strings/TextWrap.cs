namespace MoeKernels.Text.Templates;

/// <summary>
/// Python's <c>textwrap.wrap</c> with tabs and white space kept, as the filter <c>wordwrap</c> calls it.
/// </summary>
internal sealed class TextWrap
{
    private readonly int _width;
    private readonly bool _breakLongWords;
    private readonly bool _breakOnHyphens;

    public TextWrap(int width, bool breakLongWords, bool breakOnHyphens)
    {
        if (width <= 0)
            throw PyError.Value($"invalid width {width} (must be > 0)");
        _width = width;
        _breakLongWords = breakLongWords;
        _breakOnHyphens = breakOnHyphens;
    }

    public List<string> Lines(string paragraph)
    {
        var chunks = new Stack<string>(Chunks(paragraph).Reverse());
        var lines = new List<string>();
        while (chunks.Count > 0)
        {
            if (lines.Count > 0 && IsBlank(chunks.Peek()))
                chunks.Pop();
            string line = Line(chunks);
            if (line.Length > 0)
                lines.Add(line);
        }

        return lines;
    }

    private string Line(Stack<string> chunks)
    {
        var line = new List<string>();
        int length = 0;
        while (chunks.Count > 0 && length + PyText.Length(chunks.Peek()) <= _width)
        {
            line.Add(chunks.Pop());
            length += PyText.Length(line[^1]);
        }

        if (chunks.Count > 0 && PyText.Length(chunks.Peek()) > _width)
            TakeLong(chunks, line, length);
        if (line.Count > 0 && IsBlank(line[^1]))
            line.RemoveAt(line.Count - 1);
        Budget.ChargeText(length + 1);
        return string.Concat(line);
    }

    /// <summary>A word longer than a line is cut, or stands alone.</summary>
    private void TakeLong(Stack<string> chunks, List<string> line, int length)
    {
        if (!_breakLongWords)
        {
            if (line.Count == 0)
                line.Add(chunks.Pop());
            return;
        }

        string word = chunks.Pop();
        Budget.ChargeText(word.Length);
        int room = _width - length;
        int end = room;
        if (_breakOnHyphens && PyText.Length(word) > room)
        {
            string part = PyText.Substring(word, 0, room);
            int hyphen = part.LastIndexOf('-');
            if (hyphen > 0 && part[..hyphen].Any(c => c != '-'))
                end = PyText.Length(part.AsSpan(0, hyphen)) + 1;
        }

        int offset = PyText.Offset(word, Math.Max(1, end));
        line.Add(word[..offset]);
        if (offset < word.Length)
            chunks.Push(word[offset..]);
    }

    private static bool IsBlank(string text) => PyText.Trim(text).Length == 0;

    private static bool IsBreak(char c) => c is ' ' or '\t' or '\n' or '\v' or '\f' or '\r';

    /// <summary>Words and the white space between them; after hyphens between letters a word may break.</summary>
    private IEnumerable<string> Chunks(string text)
    {
        for (int at = 0; at < text.Length;)
        {
            int start = at;
            bool blank = IsBreak(text[at]);
            while (at < text.Length && IsBreak(text[at]) == blank)
                at++;
            string piece = text[start..at];
            if (blank || !_breakOnHyphens)
            {
                yield return piece;
                continue;
            }

            foreach (string part in Hyphenated(piece))
                yield return part;
        }
    }

    private static IEnumerable<string> Hyphenated(string word)
    {
        int start = 0;
        for (int i = 0; i < word.Length; i++)
        {
            int dashes = 0;
            while (i + dashes < word.Length && word[i + dashes] == '-')
                dashes++;
            if (dashes == 0)
                continue;
            bool wordBefore = i > 0 && IsWordOrMark(word[i - 1]);
            bool wordAfter = i + dashes < word.Length && IsWord(word[i + dashes]);
            if (dashes > 1 && wordBefore && wordAfter)
            {
                // An em-dash of hyphens is a chunk of its own.
                if (i > start)
                    yield return word[start..i];
                yield return word[i..(i + dashes)];
                start = i + dashes;
            }
            else if (dashes == 1 && Breaks(word, i))
            {
                yield return word[start..(i + 1)];
                start = i + 1;
            }

            i += dashes - 1;
        }

        if (start < word.Length)
            yield return word[start..];
    }

    // A hyphen breaks between two letters before it (or letter, hyphen, letter) and a letter after it.
    private static bool Breaks(string word, int at)
    {
        bool before = (at >= 2 && IsLetter(word[at - 1]) && IsLetter(word[at - 2]))
            || (at >= 3 && IsLetter(word[at - 1]) && word[at - 2] == '-' && IsLetter(word[at - 3]));
        bool after = at + 2 < word.Length && IsLetter(word[at + 1])
            && (IsLetter(word[at + 2]) || (word[at + 2] == '-' && at + 3 < word.Length && IsLetter(word[at + 3])));
        return before && after;
    }

    private static bool IsWord(char c) => c == '_' || PyChar.IsAlphanumeric(c);

    private static bool IsWordOrMark(char c) => IsWord(c) || c is '!' or '"' or '\'' or '&' or '.' or ',' or '?';

    private static bool IsLetter(char c) => IsWord(c) && !char.IsDigit(c);
}
