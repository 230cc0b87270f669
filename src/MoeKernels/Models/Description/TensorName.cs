namespace MoeKernels.Models.Description;

/// <summary>A tensor's name on disk, with the other names under which released files carry it; the first present
/// wins.</summary>
internal sealed record TensorName(params string[] Alternatives)
{
    public string First => Alternatives[0];

    public static implicit operator TensorName(string name) => new(name);

    /// <summary>The same names with a suffix, for example <c>.weight</c>.</summary>
    public TensorName With(string suffix) => new([.. Alternatives.Select(name => name + suffix)]);

    public override string ToString() => string.Join(" or ", Alternatives);
}
