using System.Text;
using MoeKernels.Cli.Output;

namespace MoeKernels.Cli.Commands;

/// <summary>Texts the user points at. They must be UTF-8; a byte order mark is left out.</summary>
internal static class InputText
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    /// <summary>Text given as it is, as <c>@file</c>, or as <c>-</c> for standard input.</summary>
    public static Task<string> ReadAsync(string value, CancellationToken cancellation) => value switch
    {
        "-" => ReadStandardInputAsync(cancellation),
        "@" => throw new UsageException("Name a file after @."),
        ['@', .. var file] => ReadFileAsync(file, cancellation),
        _ => Task.FromResult(value),
    };

    /// <summary>Reads a whole text file.</summary>
    /// <exception cref="MoeFormatException">It cannot be read or is not UTF-8.</exception>
    public static async Task<string> ReadFileAsync(string path, CancellationToken cancellation)
    {
        if (Directory.Exists(path))
        {
            throw new MoeFormatException(path, null, "is a folder; give a text file");
        }

        if (!File.Exists(path))
        {
            throw new MoeFormatException(path, null, "the file does not exist");
        }

        try
        {
            return Decode(path, await UnlessCancelledAsync(() => File.ReadAllBytes(path), cancellation));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MoeFormatException(path, null, $"cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Reads a line from the user; null at the end of the input.</summary>
    public static Task<string?> ReadLineAsync(CancellationToken cancellation) =>
        UnlessCancelledAsync(Console.In.ReadLine, cancellation);

    private static async Task<string> ReadStandardInputAsync(CancellationToken cancellation)
    {
        byte[] bytes = await UnlessCancelledAsync(
            () =>
            {
                using var input = Console.OpenStandardInput();
                using var buffer = new MemoryStream();
                input.CopyTo(buffer);
                return buffer.ToArray();
            },
            cancellation);
        return Decode("standard input", bytes);
    }

    /// <summary>A blocked read knows no cancellation: it is left behind and ends with the process.</summary>
    private static Task<T> UnlessCancelledAsync<T>(Func<T> read, CancellationToken cancellation) =>
        Task.Run(read, cancellation).WaitAsync(cancellation);

    private static string Decode(string name, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> mark = Encoding.UTF8.Preamble;
        int start = bytes.StartsWith(mark) ? mark.Length : 0;
        try
        {
            return Strict.GetString(bytes[start..]);
        }
        catch (DecoderFallbackException exception)
        {
            throw new MoeFormatException(
                name, null, $"is not UTF-8 text: the byte at position {start + exception.Index} fits no character",
                exception);
        }
    }
}
