using System.Buffers.Binary;
using System.Text;
using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Open_ValidFile_GivesEntriesMetadataAndBytes()
    {
        string path = _folder.WriteTensors(
            "a.safetensors",
            """
            {"__metadata__":{"format":"pt","note":"x\u00e9"},
             "b":{"dtype":"U8","shape":[2,3],"data_offsets":[4,10]},
             "a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
             "empty":{"dtype":"BF16","shape":[0,7],"data_offsets":[10,10],"later":{"key":[1]}}}
            """,
            10);

        using SafetensorsFile file = SafetensorsFile.Open(path);

        Assert.Equal(["a", "b", "empty"], file.Tensors.Keys.Order());
        Assert.Equal("xé", file.Metadata["note"]);
        Assert.Equal([2, 3], file.Tensors["b"].Shape);
        Assert.Equal(ElementType.U8, file.Tensors["b"].ElementType);
        Assert.Equal(1, file.Tensors["a"].ElementCount);
        Assert.Equal(0, file.Tensors["empty"].ByteLength);
        var bytes = new byte[3];
        file.Read(file.Tensors["b"], 2, bytes);
        Assert.Equal([6, 7, 8], bytes);
    }

    [Theory]
    [InlineData("BOOL", 8)]
    [InlineData("F4", 4)]
    [InlineData("F6_E2M3", 6)]
    [InlineData("F6_E3M2", 6)]
    [InlineData("U8", 8)]
    [InlineData("I8", 8)]
    [InlineData("F8_E5M2", 8)]
    [InlineData("F8_E4M3", 8)]
    [InlineData("F8_E8M0", 8)]
    [InlineData("F8_E4M3FNUZ", 8)]
    [InlineData("F8_E5M2FNUZ", 8)]
    [InlineData("I16", 16)]
    [InlineData("U16", 16)]
    [InlineData("F16", 16)]
    [InlineData("BF16", 16)]
    [InlineData("I32", 32)]
    [InlineData("U32", 32)]
    [InlineData("F32", 32)]
    [InlineData("C64", 64)]
    [InlineData("F64", 64)]
    [InlineData("I64", 64)]
    [InlineData("U64", 64)]
    public void Open_EveryDtype_HasItsNameAndWidth(string dtype, int bits)
    {
        int bytes = 8 * bits / 8;
        using SafetensorsFile file = SafetensorsFile.Open(_folder.WriteTensors(
            "a", $$$"""{"t":{"dtype":"{{{dtype}}}","shape":[4,2],"data_offsets":[0,{{{bytes}}}]}}""", bytes));

        Assert.Equal(bits, file.Tensors["t"].ElementType.Bits());
        Assert.Equal($"{dtype} [4, 2]", file.Tensors["t"].ToString());
    }

    [Theory]
    [InlineData("""{"t":{"dtype":"U9","shape":[4],"data_offsets":[0,4]}}""", "t", "unknown dtype 'U9'")]
    [InlineData("""{"t":{"dtype":"u8","shape":[4],"data_offsets":[0,4]}}""", "t", "unknown dtype 'u8'")]
    [InlineData("""{"t":{"dtype":4,"shape":[4],"data_offsets":[0,4]}}""", "t", "where a string as dtype belongs")]
    [InlineData("""{"t":{"shape":[4],"data_offsets":[0,4]}}""", "t", "dtype is missing")]
    [InlineData("""{"t":{"dtype":"U8","data_offsets":[0,4]}}""", "t", "shape is missing")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4]}}""", "t", "data_offsets is missing")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}}""", "t", "shape is given twice")]
    [InlineData("""{"t":{"dtype":"U8","shape":4,"data_offsets":[0,4]}}""", "t", "where an array as shape belongs")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}}""", "t", "not a 64-bit integer")]
    [InlineData("""{"t":{"dtype":"U8","shape":["4"],"data_offsets":[0,4]}}""", "t", "not a 64-bit integer")]
    [InlineData("""{"t":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,4]}}""", "t", "not a 64-bit")]
    [InlineData("""{"t":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}""", "t", "a negative number: -4")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4],"data_offsets":[-1,3]}}""", "t", "a negative number: -1")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,2,4]}}""", "t", "3 entries instead of 2")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}}""", "t", "run backwards: 4 to 0")]
    [InlineData("""{"t":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}""", "t", "it is truncated")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}}""", "t", "takes 3 bytes, data_offsets span 4")]
    [InlineData("""{"t":{"dtype":"F4","shape":[3],"data_offsets":[0,4]}}""", "t", "no whole number of bytes")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2305843009213693952,1],"data_offsets":[0,4]}}""", "t", "below 2^63")]
    [InlineData("""{"t":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}""", "t", "below 2^63")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}""", "t", "1 bytes before the data")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", null, "last 1 bytes belong to no tensor")]
    [InlineData("{}", null, "last 4 bytes belong to no tensor")]
    [InlineData("""{"t":[]}""", "t", "where an object belongs")]
    [InlineData("""{"__metadata__":[]}""", "__metadata__", "where an object belongs")]
    [InlineData("""{"__metadata__":{"a":1}}""", "__metadata__", "an object of strings")]
    [InlineData("""{"__metadata__":{"a":"1","a":"2"}}""", "__metadata__", "'a' is listed twice")]
    [InlineData("[]", null, "does not start with '{'")]
    [InlineData(" {}", null, "does not start with '{'")]
    [InlineData("", null, "does not start with '{'")]
    [InlineData("{", null, "not valid JSON")]
    [InlineData("{}{}", null, "not valid JSON")]
    [InlineData("{\"t\":{},}", null, "'t'")]
    [InlineData("""{"\ud800":{}}""", null, "not valid JSON")]
    [InlineData("{/* */}", null, "not valid JSON")]
    public void Open_LyingHeader_IsRefusedByName(string header, string? tensor, string problem)
    {
        string path = _folder.WriteTensors("a.safetensors", header, 4);

        var error = Assert.Throws<MoeFormatException>(() => SafetensorsFile.Open(path));

        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        if (tensor is not null)
            Assert.Equal(tensor, error.Item);
    }

    [Fact]
    public void Open_DuplicateName_IsRefused() => Refused(
        """
        {"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
         "t":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}
        """,
        "listed twice");

    [Fact]
    public void Open_OverlappingTensors_AreRefused() => Refused(
        """
        {"first":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
         "second":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}
        """,
        "overlap those of 'first'");

    [Fact]
    public void Open_HoleBetweenTensors_IsRefused() => Refused(
        """
        {"first":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
         "second":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}
        """,
        "2 bytes before the data");

    [Fact]
    public void Open_DeepNesting_IsRefused() => Refused(
        $$"""{"t":{"dtype":"U8","x":{{new string('[', 100_000)}}""", "not valid JSON");

    [Fact]
    public void Open_EndlessShape_IsRefused() => Refused(
        $$"""{"t":{"dtype":"U8","shape":[{{string.Join(',', Enumerable.Repeat(1, 10_000))}}]""",
        "more than 64 entries");

    [Fact]
    public void Open_HeaderThatIsNotUtf8_IsRefused()
    {
        byte[] header = Encoding.UTF8.GetBytes("""{"t?":{}}""");
        header[3] = 0xFF;
        Refused(_folder.Write("a", TempFolder.Tensors(header, 0)), "not UTF-8", isPath: true);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    public void Open_FileWithoutLengthField_IsRefused(int bytes) =>
        Refused(_folder.Write("a", new byte[bytes]), "too short", isPath: true);

    [Theory]
    [InlineData(long.MaxValue, "no safetensors file")]
    [InlineData(-1, "no safetensors file")]
    [InlineData(100_000_001, "no safetensors file")]
    [InlineData(100_000_000, "it is truncated")]
    [InlineData(3, "it is truncated")]
    public void Open_LyingHeaderLength_IsRefused(long length, string problem)
    {
        var file = new byte[10];
        BinaryPrimitives.WriteInt64LittleEndian(file, length);
        file[8] = (byte)'{';
        file[9] = (byte)'}';
        Refused(_folder.Write("a", file), problem, isPath: true);
    }

    [Fact]
    public void Open_EveryTruncation_IsRefused()
    {
        string header = """{"t":{"dtype":"U8","shape":[16],"data_offsets":[0,16]}}""";
        byte[] whole = TempFolder.Tensors(Encoding.UTF8.GetBytes(header), 16);
        for (int length = 0; length < whole.Length; length++)
        {
            string path = _folder.Write("a", whole[..length]);
            Assert.Throws<MoeFormatException>(() => SafetensorsFile.Open(path));
        }
    }

    [Fact]
    public void Open_MissingFile_IsRefused() => Refused(_folder["none.safetensors"], "does not exist", isPath: true);

    [Fact]
    public void Open_Folder_IsRefused() => Refused(_folder.Path, _folder.Path, isPath: true);

    [Fact]
    public void Open_Device_IsRefusedWithoutWaiting()
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "no /dev/zero here");
        Refused("/dev/zero", "too short", isPath: true);
    }

    [Fact]
    public void Open_HostileName_IsCutInTheMessage()
    {
        string path = _folder.WriteTensors("a", $$$"""{"\u001b{{{new string('x', 100_000)}}}":{}}""", 0);
        var error = Assert.Throws<MoeFormatException>(() => SafetensorsFile.Open(path));
        Assert.InRange(error.Message.Length, 1, 500);
        Assert.DoesNotContain('\u001b', error.Message);
    }

    [Fact]
    public unsafe void File_AfterDispose_ThrowsAndDisposeIsIdempotent()
    {
        SafetensorsFile file = SafetensorsFile.Open(_folder.WriteTensors(
            "a", """{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 4));
        TensorInfo tensor = file.Tensors["t"];
        file.Dispose();
        file.Dispose();

        Assert.Throws<ObjectDisposedException>(() => file.Read(tensor, 0, new byte[1]));
        Assert.Throws<ObjectDisposedException>(() => { _ = file.DataPointer(tensor)[0]; });
    }

    [Fact]
    public unsafe void Lease_HeldDuringDispose_KeepsTheBytes()
    {
        SafetensorsFile file = SafetensorsFile.Open(_folder.WriteTensors(
            "a", """{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 4));
        byte* data = file.DataPointer(file.Tensors["t"]);
        using Lifetime.Lease lease = file.Acquire();
        file.Dispose();
        Assert.Equal(3, data[3]);
    }

    [Theory]
    [InlineData(-1, 1)]
    [InlineData(4, 1)]
    [InlineData(0, 5)]
    [InlineData(long.MaxValue, 1)]
    public void Read_OutsideTheTensor_IsAnArgumentError(long offset, int count)
    {
        using SafetensorsFile file = SafetensorsFile.Open(_folder.WriteTensors(
            "a", """{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", 4));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(file.Tensors["t"], offset, new byte[count]));
    }

    [Fact]
    public void Read_TensorOfAnotherFile_IsAnArgumentError()
    {
        string header = """{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""";
        using SafetensorsFile first = SafetensorsFile.Open(_folder.WriteTensors("a", header, 4));
        using SafetensorsFile second = SafetensorsFile.Open(_folder.WriteTensors("b", header, 4));
        Assert.Throws<ArgumentException>(() => first.Read(second.Tensors["t"], 0, new byte[1]));
    }

    private void Refused(string headerOrPath, string problem, bool isPath = false)
    {
        string path = isPath ? headerOrPath : _folder.WriteTensors("a.safetensors", headerOrPath, 4);
        var error = Assert.Throws<MoeFormatException>(() => SafetensorsFile.Open(path));
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.Equal(path, error.File);
    }
}
