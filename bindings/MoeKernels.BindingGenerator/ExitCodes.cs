namespace MoeKernels.BindingGenerator;

/// <summary>What the command ends with.</summary>
internal static class ExitCodes
{
    /// <summary>Files were written, or are as they should be.</summary>
    public const int Done = 0;

    /// <summary>Files differ.</summary>
    public const int Different = 1;

    /// <summary>The arguments are wrong.</summary>
    public const int Usage = 2;

    /// <summary>castxml is not on the PATH.</summary>
    public const int CastxmlMissing = 3;

    /// <summary>A header does not compile or has no certain C# form.</summary>
    public const int Refused = 4;
}
