namespace MoeKernels.Compression;

/// <summary>The coded matrices of a network.</summary>
/// <param name="Gate">Null where there are none.</param>
/// <param name="Up">Ups.</param>
/// <param name="Down">Downs.</param>
internal sealed record CompressedNetwork(CodebookGroup? Gate, CodebookGroup Up, CodebookGroup Down)
{
    /// <summary>The matrices of a kind (<see cref="Cell.Gate"/> and so on).</summary>
    public CodebookGroup Of(string kind) => kind switch { Cell.Gate => Gate!, Cell.Up => Up, _ => Down };
}
