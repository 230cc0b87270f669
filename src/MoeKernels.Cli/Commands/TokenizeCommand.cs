using System.CommandLine;
using System.Globalization;
using MoeKernels.Cli.Output;
using MoeKernels.Text;

namespace MoeKernels.Cli.Commands;

/// <summary><c>moe tokenize FOLDER</c>: text to tokens, or with <c>--decode</c> back.</summary>
internal static class TokenizeCommand
{
    private const string Schema = "moe.tokenize/1";

    public static Command Create()
    {
        var path = ModelArguments.OptionalPath(
            "path", "Model folder or tokenizer.json; default: the sample model that comes with moe");
        var file = new Option<string?>("--file") { Description = "Text file" };
        var prompt = new Option<string?>("--prompt", "-p") { Description = "Text, @file or - for standard input" };
        var plain = new Option<bool>("--no-special")
        {
            Description = "Add no special tokens; leave them out when decoding",
        };
        var decode = new Option<bool>("--decode") { Description = "The input is token ids; print their text" };
        var command = new Command("tokenize", "Text to tokens and back") { path, file, prompt, plain, decode };
        command.SetWork(async (parsed, terminal, cancellation) =>
        {
            string text = await ReadAsync(parsed.GetValue(file), parsed.GetValue(prompt), cancellation);
            var tokenizer = Tokenizer.Load(parsed.GetValue(path)!);
            if (parsed.GetValue(decode))
            {
                WriteText(terminal, tokenizer.Decode(ParseIds(text, tokenizer), parsed.GetValue(plain)));
            }
            else
            {
                WriteTokens(terminal, tokenizer.Encode(text, !parsed.GetValue(plain)));
            }

            return ExitCodes.Done;
        });
        return command;
    }

    private static Task<string> ReadAsync(string? file, string? prompt, CancellationToken cancellation) =>
        (file, prompt) switch
        {
            ({ } path, null) => InputText.ReadFileAsync(path, cancellation),
            (null, { } text) => InputText.ReadAsync(text, cancellation),
            (null, null) => throw new UsageException("Give a text with -p TEXT, -p - or --file FILE."),
            _ => throw new UsageException("Give either --file or -p, not both."),
        };

    /// <summary>Reads ids separated by white space or commas; JSON brackets are welcome.</summary>
    private static int[] ParseIds(string text, Tokenizer tokenizer)
    {
        string[] words = text.Split([' ', '\t', '\r', '\n', ',', '[', ']'], StringSplitOptions.RemoveEmptyEntries);
        return Array.ConvertAll(words, word =>
            int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                && tokenizer.TokenText(id) is not null
                ? id
                : throw new UsageException($"'{word}' is no token id of this tokenizer."));
    }

    private static void WriteText(Terminal terminal, string text)
    {
        if (!terminal.Json)
        {
            terminal.WriteLine(text);
            return;
        }

        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteString("text", text);
        });
    }

    private static void WriteTokens(Terminal terminal, TokenEncoding encoding)
    {
        if (!terminal.Json)
        {
            terminal.WriteLine(string.Join(' ', encoding.Ids));
            return;
        }

        terminal.WriteJson(json =>
        {
            json.WriteString("schema", Schema);
            json.WriteStartArray("ids");
            foreach (int id in encoding.Ids)
            {
                json.WriteNumberValue(id);
            }

            json.WriteEndArray();
            json.WriteStartArray("tokens");
            foreach (string token in encoding.Tokens)
            {
                json.WriteStringValue(token);
            }

            json.WriteEndArray();
            json.WriteStartArray("offsets");
            foreach (var (start, end) in encoding.Offsets)
            {
                json.WriteStartArray();
                json.WriteNumberValue(start);
                json.WriteNumberValue(end);
                json.WriteEndArray();
            }

            json.WriteEndArray();
        });
    }
}
