namespace MoeKernels.Text.TokenModels;

/// <summary>The token for text that is in no token, or the complaint that there is none.</summary>
/// <param name="Id">Its id, or null.</param>
/// <param name="File">File of the model.</param>
/// <param name="Key">Key that names the token.</param>
internal sealed record UnknownToken(int? Id, string File, string Key)
{
    /// <exception cref="MoeFormatException">The file names no such token, and this text needs it.</exception>
    public int Required => Id ?? throw new MoeFormatException(
        File, Key, "names no token of the vocabulary, but the text has a part that is in no token");
}
