using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

/// <summary>The layout rule against its definition: a file is accepted exactly when every byte has one owner.</summary>
public class SafetensorsLayoutTests(ITestOutputHelper output)
{
    private const int Files = 5000;

    private static readonly (string Name, int Bits)[] Types =
        [("F4", 4), ("U8", 8), ("F8_E8M0", 8), ("BF16", 16), ("F32", 32), ("I64", 64)];

    [Fact]
    public void Parse_RandomLayouts_AcceptsExactlyThoseThatTileTheData()
    {
        int accepted = 0;
        for (int seed = 0; seed < Files; seed++)
        {
            var random = new Random(seed);
            Entry[] entries = Tiling(random, out long dataBytes);
            for (int changes = random.Next(3); changes > 0 && entries.Length > 0; changes--)
            {
                int i = random.Next(entries.Length);
                entries[i] = Change(entries[i], random);
            }

            random.Shuffle(entries);
            bool expected = IsTiling(entries, dataBytes);
            Assert.True(
                expected == IsAccepted(entries, dataBytes), $"seed {seed}: {Header(entries)} over {dataBytes} bytes");
            accepted += expected ? 1 : 0;
        }

        output.WriteLine($"{Files} layouts, {accepted} valid");
        Assert.InRange(accepted, Files / 5, Files * 4 / 5);
    }

    private static Entry[] Tiling(Random random, out long dataBytes)
    {
        dataBytes = 0;
        var entries = new Entry[random.Next(6)];
        for (int i = 0; i < entries.Length; i++)
        {
            int type = random.Next(Types.Length);
            long[] shape = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => (long)random.Next(4))];
            if (Types[type].Bits == 4)
                shape[0] *= 2;

            long bytes = shape.Aggregate(1L, (a, b) => a * b) * Types[type].Bits / 8;
            entries[i] = new Entry(type, shape, dataBytes, dataBytes + bytes);
            dataBytes += bytes;
        }

        return entries;
    }

    private static Entry Change(Entry entry, Random random)
    {
        int by = random.Next(-2, 3);
        return random.Next(4) switch
        {
            0 => entry with { Begin = entry.Begin + by },
            1 => entry with { End = entry.End + by },
            2 => entry with { Begin = entry.Begin + by, End = entry.End + by },
            _ => entry with { Type = random.Next(Types.Length) },
        };
    }

    /// <summary>Counts the owners of each byte; an empty tensor may lie between two others, not inside one.</summary>
    private static bool IsTiling(Entry[] entries, long dataBytes)
    {
        var owners = new int[dataBytes];
        foreach (Entry entry in entries)
        {
            long bits = entry.Shape.Aggregate(1L, (a, b) => a * b) * Types[entry.Type].Bits;
            if (entry.Begin < 0 || entry.End > dataBytes || bits != 8 * (entry.End - entry.Begin))
                return false;

            for (long i = entry.Begin; i < entry.End; i++)
                owners[i]++;
        }

        return owners.All(count => count == 1)
            && !entries.Any(empty => empty.Begin == empty.End
                && entries.Any(other => other.Begin < empty.Begin && empty.Begin < other.End));
    }

    private static bool IsAccepted(Entry[] entries, long dataBytes)
    {
        byte[] header = Encoding.UTF8.GetBytes(Header(entries));
        try
        {
            SafetensorsHeader.Parse("f", header, SafetensorsHeader.PrefixBytes + header.Length + dataBytes);
            return true;
        }
        catch (MoeFormatException)
        {
            return false;
        }
    }

    private static string Header(Entry[] entries) => "{" + string.Join(",", entries.Select((entry, i) =>
        $"\"{i}\":{{\"dtype\":\"{Types[entry.Type].Name}\",\"shape\":[{string.Join(",", entry.Shape)}],"
        + $"\"data_offsets\":[{entry.Begin},{entry.End}]}}")) + "}";

    private sealed record Entry(int Type, long[] Shape, long Begin, long End);
}
