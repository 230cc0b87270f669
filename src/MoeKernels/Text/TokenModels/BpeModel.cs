using MoeKernels.Text.Alignment;

namespace MoeKernels.Text.TokenModels;

/// <summary>What a file says about a <see cref="BpeModel"/> beside its vocabulary and merges.</summary>
internal sealed record BpeOptions
{
    /// <summary>The token for characters that are in no token; null drops them.</summary>
    public UnknownToken? Unknown { get; init; }

    /// <summary>Prefix of every symbol but the first of a word.</summary>
    public string Prefix { get; init; } = "";

    /// <summary>Suffix of the last symbol of a word.</summary>
    public string Suffix { get; init; } = "";

    /// <summary>Joins neighbouring unknown characters to one token.</summary>
    public bool FuseUnknown { get; init; }

    /// <summary>Spells characters that are in no token as &lt;0xNN&gt; tokens.</summary>
    public bool ByteFallback { get; init; }

    /// <summary>A word that is a token itself is that token, whatever the merges say.</summary>
    public bool IgnoreMerges { get; init; }
}

/// <summary>
/// Byte-pair encoding: starts from characters and joins the pair of lowest rank, then leftmost, until none is left.
/// </summary>
internal sealed class BpeModel : ITokenModel
{
    private readonly Dictionary<long, (int Rank, int Id)> _merges;
    private readonly Dictionary<int, int> _charIds = [];
    private readonly int?[] _byteIds = new int?[256];

    /// <param name="vocabulary">All tokens.</param>
    /// <param name="merges">Pair of ids (left in the high half) to rank and id of the joined token.</param>
    /// <param name="options">The rest of the file's model section.</param>
    public BpeModel(Vocabulary vocabulary, Dictionary<long, (int Rank, int Id)> merges, BpeOptions options)
    {
        Vocabulary = vocabulary;
        Options = options;
        _merges = merges;
        foreach (var (text, id) in vocabulary.Entries)
        {
            if (text.Length is 1 or 2 && CodePoints.Of(text) is [var c])
                _charIds[c] = id;
        }

        for (var b = 0; b < 256; b++)
            _byteIds[b] = vocabulary.TryGetId($"<0x{b:X2}>", out var id) ? id : null;
    }

    public Vocabulary Vocabulary { get; }

    public BpeOptions Options { get; }

    public static long Pair(int left, int right) => (long)left << 32 | (uint)right;

    public bool TryMerge(int left, int right, out (int Rank, int Id) merge) =>
        _merges.TryGetValue(Pair(left, right), out merge);

    public int? ByteId(byte b) => _byteIds[b];

    /// <summary>Id of the symbol for one character at its place in the word.</summary>
    public bool TryGetSymbol(int c, bool first, bool last, out int id)
    {
        if ((first || Options.Prefix.Length == 0) && (!last || Options.Suffix.Length == 0))
            return _charIds.TryGetValue(c, out id);
        return Vocabulary.TryGetId(SymbolText(c, first, last), out id);
    }

    public string SymbolText(int c, bool first, bool last) =>
        (first ? "" : Options.Prefix) + char.ConvertFromUtf32(c) + (last ? Options.Suffix : "");

    public ITokenSession Start() => new BpeSession(this);
}
