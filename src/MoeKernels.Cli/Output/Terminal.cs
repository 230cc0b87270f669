using System.Text;
using System.Text.Json;

namespace MoeKernels.Cli.Output;

/// <summary>Where a command writes: results to stdout, everything else to stderr, and nothing else to either.</summary>
/// <param name="output">Receives results.</param>
/// <param name="error">Receives progress, notes and errors.</param>
/// <param name="json">Results are JSON documents, one a line when streaming.</param>
/// <param name="quiet">No progress and no notes.</param>
/// <param name="screen">Whether a person watches: progress may be redrawn, and results share the screen.</param>
internal sealed class Terminal(TextWriter output, TextWriter error, bool json, bool quiet, bool screen)
{
    private static readonly JsonWriterOptions JsonOptions = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private bool _drawn;
    private bool _midLine;

    /// <summary>The process's own streams.</summary>
    public static Terminal Open(bool json, bool quiet) =>
        new(Console.Out, Console.Error, json, quiet, screen: !Console.IsErrorRedirected);

    public bool Json => json;

    /// <summary>Writes a result as it is, without a line end.</summary>
    public void Write(string text)
    {
        output.Write(text);
        output.Flush();
        _midLine = text.Length > 0 ? text[^1] != '\n' : _midLine;
    }

    public void WriteLine(string text = "")
    {
        output.WriteLine(text);
        _midLine = false;
    }

    /// <summary>Writes one JSON document on a line of its own.</summary>
    public void WriteJson(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, JsonOptions))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        WriteLine(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
        output.Flush();
    }

    /// <summary>An error, in one sentence.</summary>
    public void Error(string text)
    {
        EndProgress();
        LeaveLine();
        error.WriteLine(text);
    }

    /// <summary>A line for the person at the terminal.</summary>
    public void Note(string text)
    {
        if (!quiet)
        {
            EndProgress();
            LeaveLine();
            error.WriteLine(text);
        }
    }

    /// <summary>Shows that a line is awaited, to a person who types it.</summary>
    public void Ask()
    {
        if (screen && !Console.IsInputRedirected)
        {
            error.Write("> ");
        }
    }

    /// <summary>Redraws the progress line.</summary>
    public void Progress(string text)
    {
        if (screen && !quiet)
        {
            _drawn = true;
            error.Write($"\r{text}\u001b[K");
        }
    }

    /// <summary>Removes the progress line, if there is one: an answer on the same terminal must stay.</summary>
    public void EndProgress()
    {
        if (_drawn)
        {
            _drawn = false;
            error.Write("\r\u001b[K");
        }
    }

    /// <summary>Leaves a line that <see cref="Write"/> did not finish, so that a message to the person at the terminal
    /// starts a new one.</summary>
    private void LeaveLine()
    {
        if (_midLine && screen)
        {
            error.WriteLine();
        }

        _midLine = false;
    }
}
