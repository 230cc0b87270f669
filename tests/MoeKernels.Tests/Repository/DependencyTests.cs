using System.Text.RegularExpressions;

namespace MoeKernels.Tests.Repository;

/// <summary>Only the arrows of the house plan exist: a room's files name no room that they may not know.</summary>
public partial class DependencyTests
{
    /// <summary>Each room of the library and the rooms it may know, transitive ones included.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Core"] = [],
        ["Router"] = ["Core"],
        ["Permute"] = ["Core", "Router"],
        ["Experts"] = ["Core", "Router", "Permute"],
        ["Formats"] = ["Core"],
        ["Packed"] = ["Core", "Formats"],
        ["Cpu"] = ["Core", "Router", "Permute", "Experts", "Packed"],
        ["Text"] = ["Core"],
        ["Cuda"] = ["Core", "Router", "Permute", "Experts", "Packed", Bindings],
        ["Models"] = ["Core", "Router", "Permute", "Experts", "Packed", "Cpu", "Cuda", "Formats", "Text"],
        ["Generation"] =
            ["Core", "Router", "Permute", "Experts", "Packed", "Cpu", "Formats", "Text", "Models"],
        ["Planning"] =
            ["Core", "Router", "Permute", "Experts", "Packed", "Cpu", "Cuda", "Formats", "Text", "Models"],
        ["Measuring"] =
        [
            "Core", "Router", "Permute", "Experts", "Packed", "Cpu", "Formats", "Text", "Models", "Generation",
            "Planning",
        ],
        ["Compression"] =
        [
            "Core", "Router", "Permute", "Experts", "Packed", "Cpu", "Formats", "Text", "Models", "Generation",
            "Planning",
        ],
    };

    /// <summary>The bindings of the native library, which one room of the library knows.</summary>
    private const string Bindings = "Interop";

    /// <summary>Each project and those that it may reference.</summary>
    private static readonly Dictionary<string, string[]> AllowedProjects = new()
    {
        ["MoeKernels"] = ["MoeKernels.Interop"],
        ["MoeKernels.Cli"] = ["MoeKernels"],
        ["MoeKernels.Benchmarks"] = ["MoeKernels"],
        ["MoeKernels.Tests"] = ["MoeKernels", "MoeKernels.Cli", "MoeKernels.Interop"],
        ["MoeKernels.Interop.Tests"] = ["MoeKernels.Interop", "MoeKernels.BindingGenerator"],
    };

    [Fact]
    public void Library_HasOnlyTheRoomsOfThePlan()
    {
        var rooms = Directory.GetDirectories(LibraryFolder).Select(Path.GetFileName).Except(["bin", "obj"]);
        Assert.Empty(rooms.Except(Allowed.Keys));
    }

    [Fact]
    public void Rooms_KnowOnlyWhatTheyMay()
    {
        var violations =
            from room in Allowed.Keys
            let folder = Path.Combine(LibraryFolder, room)
            where Directory.Exists(folder)
            from file in Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)
            from named in RoomsNamedIn(File.ReadAllText(file))
            where named != room && (named == Bindings || Allowed.ContainsKey(named)) && !Allowed[room].Contains(named)
            select $"{Path.GetRelativePath(RepositoryPaths.Root, file)} names {named}";
        Assert.Empty(violations);
    }

    [Theory]
    [InlineData("using MoeKernels.Models.Layers;", "Models")]
    [InlineData("using static MoeKernels.Cpu.Vec;", "Cpu")]
    [InlineData("using MoeKernels.Interop;", "Interop")]
    [InlineData("var x = global::MoeKernels.Text.Tokenizer.Load(p);", "Text")]
    public void Scan_FindsEveryFormOfReference(string source, string room) =>
        Assert.Equal([room], RoomsNamedIn(source));

    [Fact]
    public void Projects_ReferenceOnlyWhatTheyMay()
    {
        var violations =
            from folder in new[] { "src", "bindings", "bench", "tests" }
            let path = Path.Combine(RepositoryPaths.Root, folder)
            where Directory.Exists(path)
            from file in Directory.GetFiles(path, "*.csproj", SearchOption.AllDirectories)
            let project = Path.GetFileNameWithoutExtension(file)
            from match in ProjectReference().Matches(File.ReadAllText(file))
            let referenced = match.Groups[1].Value
            where !AllowedProjects.TryGetValue(project, out var allowed) || !allowed.Contains(referenced)
            select $"{project} references {referenced}";
        Assert.Empty(violations);
    }

    [Fact]
    public void TopLevel_HoldsOnlyWhatThePlanNames()
    {
        string[] planned =
        [
            "native", "bindings", "src", "bench", "tests", "CMakeLists.txt", "MoeKernels.sln", "build.ps1", "README.md",
            "global.json", "nuget.config", "Directory.Build.props", "Directory.Packages.props", "CHANGELOG.md",
            "LICENSE", "THIRD-PARTY-NOTICES.md", "artifacts", "TestResults", "BenchmarkDotNet.Artifacts",
        ];
        var found = new DirectoryInfo(RepositoryPaths.Root).EnumerateFileSystemInfos().Select(entry => entry.Name);
        Assert.Empty(found.Where(name => !name.StartsWith('.')).Except(planned));
    }

    private static string LibraryFolder => Path.Combine(RepositoryPaths.Root, "src", "MoeKernels");

    private static IEnumerable<string> RoomsNamedIn(string source) =>
        RoomReference().Matches(source).Select(match => match.Groups[1].Value).Distinct();

    [GeneratedRegex(@"MoeKernels\.([A-Z]\w+)")]
    private static partial Regex RoomReference();

    [GeneratedRegex(@"<ProjectReference Include=""[^""]*?([\w.]+)\.csproj""")]
    private static partial Regex ProjectReference();
}
