using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

/// <summary>
/// Mutated and random files: only documented exceptions come out. <c>MOEK_FUZZ_ITERATIONS</c> sets the number of inputs
/// per reader; the seed of the input that fails is in the message.
/// </summary>
public sealed class FuzzTests(ITestOutputHelper output) : IDisposable
{
    private const string Header =
        """
        {"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
         "b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"U8","shape":[],"data_offsets":[32,33]}}
        """;

    private const string Config =
        """
        {"model_type":"mixtral","hidden_size":48,"rope_theta":1e6,"eos_token_id":[1,2],"tie":false,"x":null,
         "rope_scaling":{"rope_type":"yarn","factor":4.0,"names":["a","b"]},"text_config":{"hidden_size":5}}
        """;

    private const string Index =
        """{"metadata":{"total_size":33},"weight_map":{"a.weight":"s.safetensors","b":"s.safetensors"}}""";

    /// <summary>Fragments that steer mutations to the checks behind the JSON syntax.</summary>
    private static readonly string[] Fragments =
    [
        "-1", "9223372036854775807", "18446744073709551616", "1e999", "0", "[", "]", "{", "}", ",", ":", "\"", "null",
        "\\ud800", "\\u0000", "\"F32\"", "\"data_offsets\":[0,8]", "../", "/dev/zero", "\"a.weight\"", "true", "4.5",
        "[[[[[[[[[[[[[[[[[[[[", "\ufeff", "é",
    ];

    private readonly TempFolder _folder = new();

    private static int Iterations =>
        int.TryParse(Environment.GetEnvironmentVariable("MOEK_FUZZ_ITERATIONS"), out int asked) ? asked : 3000;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void SafetensorsFile_MutatedFiles_OnlyFormatErrors() => Fuzz(
        TempFolder.Tensors(Encoding.UTF8.GetBytes(Header), 33),
        prefix: 8,
        bytes =>
        {
            using SafetensorsFile file = SafetensorsFile.Open(_folder.Write("f", bytes));
            foreach (TensorInfo tensor in file.Tensors.Values)
                file.Read(tensor, 0, new byte[tensor.ByteLength]);
        });

    [Fact]
    public void SafetensorsHeader_MutatedHeaders_OnlyFormatErrors() => Fuzz(
        Encoding.UTF8.GetBytes(Header),
        prefix: 0,
        bytes => SafetensorsHeader.Parse("f", bytes, 8 + bytes.Length + 33));

    [Fact]
    public void Checkpoint_MutatedIndex_OnlyFormatErrors()
    {
        _folder.WriteTensors("s.safetensors", Header, 33);
        Fuzz(
            Encoding.UTF8.GetBytes(Index),
            prefix: 0,
            bytes =>
            {
                _folder.Write("model.safetensors.index.json", bytes);
                Checkpoint.Open(_folder.Path).Dispose();
            });
    }

    [Fact]
    public void ConfigReader_MutatedConfig_OnlyFormatErrors() => Fuzz(
        Encoding.UTF8.GetBytes(Config),
        prefix: 0,
        bytes =>
        {
            ConfigReader config = ConfigReader.Parse("f", bytes);
            foreach (string key in config.Keys.Append("hidden_size").Append("rope_theta"))
                ReadInEveryType(config, key);
        });

    private static void ReadInEveryType(ConfigReader config, string key)
    {
        Action[] reads =
        [
            () => config.OptionalInt(key), () => config.OptionalLong(key), () => config.OptionalDouble(key),
            () => config.OptionalFloat(key), () => config.OptionalBool(key), () => config.OptionalString(key),
            () => config.OptionalIntOrArray(key), () => config.OptionalStringArray(key), () => config.Positive(key),
            () => config.OptionalDoubleArray(key), () => config.OptionalObjects(key), () => _ = config.Text,
            () => config.Object(key).OptionalString("rope_type"),
        ];
        foreach (Action read in reads)
            Accepted(read);
    }

    private static bool Accepted(Action read)
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

    private void Fuzz(byte[] valid, int prefix, Action<byte[]> read)
    {
        Assert.True(Accepted(() => read(valid)), "the starting point is valid");
        int accepted = 0;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int seed = 0; seed < Iterations; seed++)
        {
            byte[] input = Mutate(valid, prefix, new Random(seed));
            try
            {
                accepted += Accepted(() => read(input)) ? 1 : 0;
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {Convert.ToBase64String(input)}", e);
            }
        }

        long bytesPerInput = (GC.GetAllocatedBytesForCurrentThread() - before) / Math.Max(1, Iterations);
        output.WriteLine($"{Iterations} inputs, {accepted} accepted, {bytesPerInput} bytes allocated per input");
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
