using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

/// <summary>
/// Mutates valid files: readers throw documented exceptions only. <c>MOEK_FUZZ_ITERATIONS</c> sets the number of inputs
/// per reader; the seed of the input that fails is in the message.
/// </summary>
internal static class Fuzzing
{
    /// <summary>Fragments that steer mutations to the checks behind the JSON syntax.</summary>
    private static readonly string[] Fragments =
    [
        "-1", "9223372036854775807", "18446744073709551616", "1e999", "0", "[", "]", "{", "}", ",", ":", "\"", "null",
        "\\ud800", "\\u0000", "\"F32\"", "\"data_offsets\":[0,8]", "../", "/dev/zero", "\"a.weight\"", "true", "4.5",
        "[[[[[[[[[[[[[[[[[[[[", "\ufeff", "é",
    ];

    private static int Iterations =>
        int.TryParse(Environment.GetEnvironmentVariable("MOEK_FUZZ_ITERATIONS"), out int asked) ? asked : 3000;

    /// <summary>Whether input was accepted rather than refused by one of the documented exceptions.</summary>
    public static bool Accepted(Action read)
    {
        try
        {
            read();
            return true;
        }
        catch (Exception e) when (e is MoeFormatException or MoeUnsupportedException)
        {
            Assert.InRange(e.Message.Length, 1, 2000);
            return false;
        }
    }

    /// <summary>Reads mutations of a valid file.</summary>
    /// <param name="output">Told how many were accepted.</param>
    /// <param name="valid">The file.</param>
    /// <param name="prefix">Bytes of a length field in front of a header; 0 for none.</param>
    /// <param name="read">Reads one.</param>
    /// <param name="slowness">Readers that take longer than others get fewer inputs.</param>
    public static void Run(ITestOutputHelper output, byte[] valid, int prefix, Action<byte[]> read, int slowness = 1)
    {
        Assert.True(Accepted(() => read(valid)), "the starting point is valid");
        int accepted = 0, iterations = Iterations / slowness;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int seed = 0; seed < iterations; seed++)
        {
            byte[] input = Mutate(valid, prefix, new Random(seed));
            try
            {
                accepted += Accepted(() => read(input)) ? 1 : 0;
            }
            catch (Exception e)
            {
                string start = Convert.ToBase64String(input[..Math.Min(input.Length, 600)]);
                throw new InvalidOperationException($"seed {seed}: {start}", e);
            }
        }

        long bytesPerInput = (GC.GetAllocatedBytesForCurrentThread() - before) / Math.Max(1, iterations);
        output.WriteLine($"{iterations} inputs, {accepted} accepted, {bytesPerInput} bytes allocated per input");
        Assert.InRange(bytesPerInput, 0, 1 << 20);
    }

    /// <summary>Damages a file; for one in ten, nothing of the original is left.</summary>
    private static byte[] Mutate(byte[] valid, int prefix, Random random)
    {
        if (random.Next(10) == 0)
        {
            var noise = new byte[random.Next(200)];
            random.NextBytes(noise);
            return noise;
        }

        List<byte> bytes = [.. valid];
        for (int i = random.Next(1, 4); i > 0; i--)
        {
            int position = random.Next(random.Next(4) == 0 ? 0 : Math.Min(prefix, bytes.Count), bytes.Count + 1);
            int length = Math.Min(random.Next(1, 8), bytes.Count - position);
            switch (random.Next(5))
            {
                case 0 when position < bytes.Count:
                    bytes[position] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes.RemoveRange(position, length);
                    break;
                case 2:
                    bytes.InsertRange(position, bytes.GetRange(position, length));
                    break;
                case 3:
                    bytes.RemoveRange(position, bytes.Count - position);
                    break;
                default:
                    bytes.RemoveRange(position, length);
                    bytes.InsertRange(position, Encoding.UTF8.GetBytes(Fragments[random.Next(Fragments.Length)]));
                    break;
            }
        }

        RepairLength(bytes, valid.Length, prefix, random);
        return [.. bytes];
    }

    /// <summary>Lets most mutated safetensors files keep a true header length, so that the header itself is
    /// reached.</summary>
    private static void RepairLength(List<byte> bytes, int validLength, int prefix, Random random)
    {
        if (prefix == 0 || bytes.Count < prefix || random.Next(4) == 0)
            return;

        long header = Math.Max(0, BitConverter.ToInt64([.. bytes.GetRange(0, prefix)]) + bytes.Count - validLength);
        byte[] length = BitConverter.GetBytes(header);
        for (int i = 0; i < prefix; i++)
            bytes[i] = length[i];
    }
}
