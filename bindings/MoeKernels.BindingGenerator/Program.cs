using MoeKernels.BindingGenerator.Castxml;
using MoeKernels.BindingGenerator.Output;

namespace MoeKernels.BindingGenerator;

/// <summary>The command: writes the bindings of a checkout, or checks them.</summary>
internal static class Program
{
    private const string Usage =
        """
        Usage: MoeKernels.BindingGenerator [--check] [--root FOLDER]

        Writes the C# bindings of native/include/moek.
          --check   writes nothing; fails with the differences if the files are not what would be written
          --root    the checkout; otherwise the folder above the present one that holds MoeKernels.sln

        Exit codes: 0 done, 1 differences, 2 wrong arguments, 3 castxml is missing, 4 a header was refused.
        """;

    /// <summary>Runs the command.</summary>
    /// <returns>The exit code.</returns>
    public static int Main(string[] args) => Run(args, Console.Out, Console.Error);

    /// <summary>Runs the command with given writers.</summary>
    internal static int Run(string[] args, TextWriter output, TextWriter error)
    {
        bool check = args.Contains("--check");
        string[] rest = [.. args.Where(argument => argument != "--check")];
        string? root = rest switch
        {
            [] => CheckoutAbove(Directory.GetCurrentDirectory()),
            ["--root", var folder] when Directory.Exists(folder) => folder,
            _ => null,
        };
        if (root is null)
        {
            error.WriteLine(Usage);
            return ExitCodes.Usage;
        }

        try
        {
            return Generate(root, check, output, error);
        }
        catch (CastxmlMissingException e)
        {
            error.WriteLine(e.Message);
            return ExitCodes.CastxmlMissing;
        }
        catch (HeaderException e)
        {
            error.WriteLine(e.Message);
            return ExitCodes.Refused;
        }
    }

    private static int Generate(string root, bool check, TextWriter output, TextWriter error)
    {
        var headers = HeaderReader.ReadFolder(Path.Combine(root, "native", "include", "moek"));
        var files = new GeneratedFiles(root, headers);
        if (!check)
        {
            files.Write();
            output.WriteLine($"{files.Count} files are up to date.");
            return ExitCodes.Done;
        }

        string[] differences = [.. files.Differences()];
        foreach (string difference in differences)
            error.WriteLine(difference);
        output.WriteLine($"{files.Count} files checked, {differences.Length} differ.");
        return differences.Length == 0 ? ExitCodes.Done : ExitCodes.Different;
    }

    private static string? CheckoutAbove(string start)
    {
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "MoeKernels.sln")))
                return folder.FullName;
        }

        return null;
    }
}
