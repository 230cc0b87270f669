namespace MoeKernels.Packed;

/// <summary>CRC-32 of ZIP (polynomial 0xEDB88320), eight bytes a step.</summary>
internal static class Crc32
{
    private const int Slices = 8;

    /// <summary>[8][256]: the effect of a byte that many bytes before the end of a step.</summary>
    private static readonly uint[] Table = BuildTable();

    /// <summary>The checksum of some bytes, or of more bytes behind those of <paramref name="before"/>.</summary>
    internal static uint Of(ReadOnlySpan<byte> bytes, uint before = 0)
    {
        uint crc = ~before;
        while (bytes.Length >= Slices)
        {
            uint low = crc ^ BitConverter.ToUInt32(bytes);
            crc = Table[(7 * 256) + (byte)low] ^ Table[(6 * 256) + (byte)(low >> 8)]
                ^ Table[(5 * 256) + (byte)(low >> 16)] ^ Table[(4 * 256) + (int)(low >> 24)]
                ^ Table[(3 * 256) + bytes[4]] ^ Table[(2 * 256) + bytes[5]] ^ Table[256 + bytes[6]] ^ Table[bytes[7]];
            bytes = bytes[Slices..];
        }

        foreach (byte value in bytes)
            crc = Table[(byte)(crc ^ value)] ^ (crc >> 8);

        return ~crc;
    }

    private static uint[] BuildTable()
    {
        var table = new uint[Slices * 256];
        for (uint i = 0; i < 256; i++)
        {
            uint crc = i;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;

            table[i] = crc;
        }

        for (int i = 256; i < table.Length; i++)
            table[i] = (table[i - 256] >> 8) ^ table[(byte)table[i - 256]];

        return table;
    }
}
