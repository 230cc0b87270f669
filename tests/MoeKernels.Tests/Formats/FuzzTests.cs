using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

/// <summary>Mutated and random files: only documented exceptions come out (<see cref="Fuzzing"/>).</summary>
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

    private readonly TempFolder _folder = new();

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
            Fuzzing.Accepted(read);
    }

    private void Fuzz(byte[] valid, int prefix, Action<byte[]> read) => Fuzzing.Run(output, valid, prefix, read);
}
