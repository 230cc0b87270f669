using System.Text;
using System.Text.Json;

namespace MoeKernels.Cli.Output;

/// <summary>Where a command writes: results to stdout, everything else to stderr, and nothing else to either.</summary>
/// <param name="json">Results are JSON documents, one a line when streaming.</param>
/// <param name="quiet">No progress and no notes.</param>
internal sealed class Terminal(bool json, bool quiet)
{
    private static readonly JsonWriterOptions JsonOptions = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly TextWriter _output = Console.Out;
    private readonly TextWriter _error = Console.Error;

    public bool Json => json;

    public bool Quiet => quiet;

    /// <summary>Whether a progress line may be redrawn in place.</summary>
    public bool ShowsProgress => !quiet && !Console.IsErrorRedirected;

    /// <summary>Writes a result as it is, without a line end.</summary>
    public void Write(string text)
    {
        _output.Write(text);
        _output.Flush();
    }

    public void WriteLine(string text = "") => _output.WriteLine(text);

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
        _output.Flush();
    }

    /// <summary>A line for the person at the terminal.</summary>
    public void Note(string text)
    {
        if (!quiet)
        {
            _error.WriteLine(text);
        }
    }

    /// <summary>Redraws the progress line.</summary>
    public void Progress(string text)
    {
        if (ShowsProgress)
        {
            _error.Write($"\r{text}\u001b[K");
        }
    }

    /// <summary>Removes the progress line.</summary>
    public void EndProgress()
    {
        if (ShowsProgress)
        {
            _error.Write("\r\u001b[K");
        }
    }
}
