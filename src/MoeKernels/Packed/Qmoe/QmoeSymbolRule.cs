namespace MoeKernels.Packed;

/// <summary>How the encoder names the weights of a row; both rules decode to the same weights.</summary>
internal enum QmoeSymbolRule
{
    /// <summary>Zero 0, the negative level 1, the positive level 2: never larger than the other rule.</summary>
    BySign,

    /// <summary>
    /// As the authors' encoder: 1 where a weight equals the row's minimum, 2 where it equals the maximum (which wins),
    /// zeros included. A row without negative weights gets a symbol 1 for every zero. For byte-equal files only.
    /// </summary>
    ByEquality,
}
