namespace MoeKernels.Interop;

/// <summary>Version of the binary interface.</summary>
/// <param name="Major">Changes when an older caller could be misled.</param>
/// <param name="Minor">Grows with every addition.</param>
public readonly record struct NativeAbi(int Major, int Minor)
{
    /// <summary>What these declarations were made from.</summary>
    public static NativeAbi Bound => new(Moek.MOEK_ABI_MAJOR, Moek.MOEK_ABI_MINOR);

    /// <summary>Whether a library of this version has all that callers of another version ask for.</summary>
    /// <param name="caller">Version that the caller was compiled against.</param>
    public bool Serves(NativeAbi caller) => Major == caller.Major && Minor >= caller.Minor;

    /// <inheritdoc/>
    public override string ToString() => $"{Major}.{Minor}";

    /// <summary>Takes the number of <see cref="Moek.moek_abi"/> apart.</summary>
    internal static NativeAbi FromNumber(uint number) => new((int)(number >> 16), (int)(number & 0xFFFF));
}
