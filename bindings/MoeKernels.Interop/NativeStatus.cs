using System.Text;

namespace MoeKernels.Interop;

/// <summary>Turns results of native calls into exceptions.</summary>
public static unsafe class NativeStatus
{
    private const int UsualTextBytes = 512;

    /// <summary>Throws unless a call succeeded. Call it on the thread of the call: the text is the thread's.</summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="what">The call, for the message: <c>nameof(Moek.moek_alloc)</c>.</param>
    /// <exception cref="NativeException">The call failed; the type depends on the status.</exception>
    public static void Check(moek_status status, string what)
    {
        if (status != moek_status.MOEK_OK)
            throw Error(status, what, LastText());
    }

    /// <summary>The exception for a failed call with the library's text.</summary>
    internal static NativeException Error(moek_status status, string what) => Error(status, what, LastText());

    /// <summary>The exception for a status.</summary>
    internal static NativeException Error(moek_status status, string what, string text) => status switch
    {
        moek_status.MOEK_E_NO_DRIVER or moek_status.MOEK_E_DRIVER_OLD or moek_status.MOEK_E_NO_DEVICE =>
            new NativeDeviceMissingException(status, what, text),
        moek_status.MOEK_E_UNSUPPORTED => new NativeUnsupportedException(status, what, text),
        moek_status.MOEK_E_MEMORY => new NativeMemoryException(status, what, text),
        moek_status.MOEK_E_NONFINITE => new NativeNonFiniteException(status, what, text),
        moek_status.MOEK_E_DATA => new NativeDataException(status, what, text),
        _ => new NativeException(status, what, text),
    };

    private static string LastText()
    {
        byte* usual = stackalloc byte[UsualTextBytes];
        nuint needed = 0;
        Moek.moek_last_error(usual, &needed, UsualTextBytes);
        if (needed <= UsualTextBytes)
            return Text(usual, needed);

        byte[] whole = new byte[needed];
        fixed (byte* start = whole)
        {
            Moek.moek_last_error(start, null, needed);
            return Text(start, needed);
        }
    }

    private static string Text(byte* start, nuint bytesWithEnd) =>
        bytesWithEnd == 0 ? "" : Encoding.UTF8.GetString(start, (int)bytesWithEnd - 1);
}
