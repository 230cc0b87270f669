using System.Text;

namespace MoeKernels.Generation;

/// <summary>Finds stop texts in streamed text, also where they span several pieces, and holds back what could still
/// become one.</summary>
internal sealed class StopMatcher(IReadOnlyList<string> stops)
{
    private readonly StringBuilder _held = new();

    /// <summary>Adds a piece and returns the text that is now final.</summary>
    /// <param name="piece">Text that follows the pieces before.</param>
    /// <param name="stopped">Set when a stop text is complete; the returned text then ends right before it.</param>
    public string Push(string piece, out bool stopped)
    {
        _held.Append(piece);
        stopped = false;
        if (stops.Count == 0)
        {
            return Take(_held.Length);
        }

        string text = _held.ToString();
        int first = FirstStop(text);
        if (first >= 0)
        {
            stopped = true;
            _held.Clear();
            return text[..first];
        }

        return Take(text.Length - LongestPartial(text));
    }

    /// <summary>Returns what was held back: the stream has ended without completing a stop text.</summary>
    public string Flush() => Take(_held.Length);

    private string Take(int count)
    {
        string text = _held.ToString(0, count);
        _held.Remove(0, count);
        return text;
    }

    private int FirstStop(string text)
    {
        int first = -1;
        foreach (string stop in stops)
        {
            int index = text.IndexOf(stop, StringComparison.Ordinal);
            if (index >= 0 && (first < 0 || index < first))
            {
                first = index;
            }
        }

        return first;
    }

    /// <summary>Length of the longest end of <paramref name="text"/> that begins a stop text.</summary>
    private int LongestPartial(string text)
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                {
                    longest = length;
                }
            }
        }

        return longest;
    }
}
