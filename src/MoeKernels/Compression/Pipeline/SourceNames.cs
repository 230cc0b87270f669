using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>Names under which a layer's expert matrices may lie in a dense checkpoint: what a coded stack
/// replaces.</summary>
internal static class SourceNames
{
    /// <summary>Tensors that belong to a stored matrix.</summary>
    private static readonly string[] Parts = ["", "_blocks", "_scales", "_scale_inv", "_scale"];

    /// <summary>All names of a single matrix.</summary>
    public static IEnumerable<string> Of(TensorName name) =>
        name.Spellings.SelectMany(spelling => Parts.Select(part => spelling + part));

    /// <summary>All names of a layer's experts, in any layout and spelling.</summary>
    public static IEnumerable<string> Of(MoeSpec moe)
    {
        ExpertsSpec experts = moe.Experts;
        var names = new List<TensorName> { experts.FusedGateUp, experts.FusedDown };
        string?[] kinds = [experts.Gate, experts.Up, experts.Down];
        for (int e = 0; e < moe.Router.Experts; e++)
            names.AddRange(kinds.OfType<string>().Select(kind => experts.Expert(e, kind).With(".weight")));

        return names.SelectMany(Of);
    }
}
