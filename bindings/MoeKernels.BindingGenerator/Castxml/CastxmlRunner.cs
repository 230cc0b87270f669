using System.ComponentModel;
using System.Diagnostics;
using System.Xml.Linq;

namespace MoeKernels.BindingGenerator.Castxml;

/// <summary>Runs castxml, Clang's parser with XML output.</summary>
internal static class CastxmlRunner
{
    /// <summary>Parses a header and all that it includes as C99.</summary>
    /// <param name="header">Path of the header.</param>
    /// <exception cref="CastxmlMissingException">There is no castxml.</exception>
    /// <exception cref="HeaderException">The header does not compile.</exception>
    public static XElement Parse(string header)
    {
        string output = Path.GetTempFileName();
        try
        {
            var start = new ProcessStartInfo("castxml")
            {
                ArgumentList = { "--castxml-output=1", "-std=c99", "-x", "c", header, "-o", output },
                RedirectStandardError = true,
            };
            using var process = Start(start);
            string errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0
                ? XDocument.Load(output).Root!
                : throw new HeaderException([$"{header}: castxml failed:", errors.TrimEnd()]);
        }
        finally
        {
            File.Delete(output);
        }
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new CastxmlMissingException(e);
        }
    }
}
