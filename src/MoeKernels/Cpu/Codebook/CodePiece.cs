using System.Runtime.Intrinsics.X86;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>The codes of one strip in one chunk, up to 16 KiB in a row: what a lookup body reads at a time.</summary>
/// <remarks>
/// Prefetchers stop at the end of a page, and the lookups of a page take so many instructions that the processor does
/// not see the first codes of the next page in time. One prefetch per page, a piece ahead, starts them again early:
/// 0.75 of a plain read without, 1.0 to 1.15 with (Zen 5).
/// </remarks>
internal readonly unsafe struct CodePiece
{
    private const int PageBytes = 4096;

    private readonly byte* _first;
    private readonly byte* _end;

    /// <summary>The piece of a matrix.</summary>
    public CodePiece(in CodebookMatrix w, int chunk, int strip)
    {
        _first = w.Codes + w.Shape.StripOffset(chunk, strip);
        _end = _first + (w.Shape.EntriesOf(chunk) * w.Shape.BlocksOf(strip) * CodebookShape.BlockRows);
    }

    /// <summary>Asks for the first codes of every page.</summary>
    public void Announce()
    {
        if (!Sse.IsSupported)
            return;
        for (byte* codes = _first; codes < _end; codes = (byte*)(((nint)codes | (PageBytes - 1)) + 1))
            Sse.Prefetch1(codes);
    }
}
