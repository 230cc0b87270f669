namespace MoeKernels;

/// <summary>The length of a file, through symbolic links: the folders of Hugging Face's cache hold nothing but
/// links.</summary>
internal static class FileLength
{
    /// <summary>Bytes of the file a path leads to; 0 for pipes and devices.</summary>
    /// <exception cref="FileNotFoundException">There is no such file, or a link leads nowhere.</exception>
    /// <exception cref="IOException">Links lead in a circle.</exception>
    public static long Of(string path)
    {
        var file = new FileInfo(path);
        return file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target ? target.Length : file.Length;
    }
}
