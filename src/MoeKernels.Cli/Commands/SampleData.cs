namespace MoeKernels.Cli.Commands;

/// <summary>The sample model and the small book that travel with the tool.</summary>
internal static class SampleData
{
    public static string Model => Path.Combine(AppContext.BaseDirectory, "sample", "novelist-s");

    public static string Book => Path.Combine(AppContext.BaseDirectory, "sample", "the-time-machine.txt");
}
