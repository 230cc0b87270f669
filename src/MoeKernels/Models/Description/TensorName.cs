namespace MoeKernels.Models.Description;

/// <summary>A tensor's name on disk, with the other names under which released files carry it; the first present
/// wins.</summary>
internal sealed record TensorName(params string[] Alternatives)
{
    private const string LanguageModel = "language_model.";

    public string First => Alternatives[0];

    /// <summary>Every name to look for, best first: the alternatives, then each with the language model's prefix added
    /// or taken away. Exports of the language model alone keep it or drop it, whatever the config says.</summary>
    public IEnumerable<string> Spellings => Alternatives.Concat(Alternatives.Select(OtherPrefix));

    public static implicit operator TensorName(string name) => new(name);

    /// <summary>The same names with a suffix, for example <c>.weight</c>.</summary>
    public TensorName With(string suffix) => new([.. Alternatives.Select(name => name + suffix)]);

    public override string ToString() => string.Join(" or ", Alternatives);

    private static string OtherPrefix(string name) =>
        name.StartsWith(LanguageModel, StringComparison.Ordinal) ? name[LanguageModel.Length..] : LanguageModel + name;
}
