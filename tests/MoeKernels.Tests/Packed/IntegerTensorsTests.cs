using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;

namespace MoeKernels.Tests.Packed;

/// <summary>Matrices of small integers in safetensors files, good ones and others.</summary>
public sealed unsafe class IntegerTensorsTests
{
    private const string Name = "experts.up_proj.weight";

    [Fact]
    public void Pack_OfTheFormatsVectors_GivesTheirBytes()
    {
        IntegerShape three = new(1, 5, 3);
        IntegerCodes codes = Pack(three, [0, 1, 2, 7, 4], [0.5f], [2]);
        Assert.Equal("02884E", Convert.ToHexString(codes.Rows));
        Assert.Equal<ushort>([0x3800], codes.Scales);
        Assert.Equal([-1, -0.5f, 0, 2.5f, 1], Values(three, codes));

        IntegerShape two = new(1, 66, 2);
        codes = Pack(two, [.. Enumerable.Repeat((byte)3, 66)], [1, 1], [1, 3]);
        Assert.Equal("0103" + new string('F', 32) + "0F", Convert.ToHexString(codes.Rows));
        Assert.Equal([.. Enumerable.Repeat(2f, 64), 0, 0], Values(two, codes));
    }

    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 3, 63)]
    [InlineData(3, 5, 64)]
    [InlineData(3, 2, 129)]
    [InlineData(4, 4, 200)]
    [InlineData(5, 3, 71)]
    [InlineData(8, 2, 65)]
    public void Stack_WrittenAndMapped_HasTheQuantisersValues(int bits, int rows, int columns)
    {
        using TempFolder folder = new();
        IntegerShape shape = new(rows, columns, bits);
        Random random = new(bits);
        (byte[] Codes, float[] Scales, float[] Zeros)[] sources =
        [
            .. Enumerable.Range(0, 3).Select(_ => (
                Fill(rows * columns, () => (byte)random.Next(1 << bits)),
                Fill(rows * shape.Groups, () => (float)(Half)random.NextSingle()),
                Fill(rows * shape.Groups, () => (float)random.Next(1 << bits)))),
        ];
        IntegerStack stack = new(
            shape, [.. sources.Select(source => Pack(shape, source.Codes, source.Scales, source.Zeros))]);
        Save(folder, stack);

        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        WeightMatrix[] matrices = IntegerTensors.Read(checkpoint, Name);
        Assert.Equal(
            stack.ByteLength, IntegerTensors.Suffixes.Sum(suffix => checkpoint.Get(Name + suffix).ByteLength));
        Assert.Equal(3, matrices.Length);
        for (int e = 0; e < matrices.Length; e++)
        {
            (byte[] codes, float[] scales, float[] zeros) = sources[e];
            for (int i = 0; i < codes.Length; i++)
            {
                (int row, int column) = Math.DivRem(i, columns);
                int group = (row * shape.Groups) + (column / 64);
                float expected = scales[group] * (codes[i] - zeros[group]);
                Assert.Equal(expected, WeightElement.Get(matrices[e], row, column));
                Assert.Equal(expected, WeightElement.Get(matrices[e].Slice(row, 1), 0, column));
            }
        }
    }

    [Theory]
    [InlineData(1, 0, "rows")]
    [InlineData(1, 5, ".int")]
    [InlineData(1, int.MaxValue, "rows")]
    [InlineData(2, -1, "columns")]
    [InlineData(2, 1 << 24, ".int")]
    [InlineData(3, 0, "bits")]
    [InlineData(3, 4, ".int")]
    [InlineData(3, 9, "bits")]
    [InlineData(4, 32, "32")]
    [InlineData(5, 0, "0")]
    [InlineData(5, int.MaxValue, ".int")]
    [InlineData(15, 1, "behind")]
    public void Read_HeaderWithAnotherNumber_SaysSo(int index, int value, string named)
    {
        using TempFolder folder = new();
        Save(folder, Stack(), header => header[index] = value);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        var error = Assert.Throws<MoeFormatException>(() => IntegerTensors.Read(checkpoint, Name));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_NewerVersion_IsUnsupported()
    {
        using TempFolder folder = new();
        Save(folder, Stack(), header => header[0] = 2);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Throws<MoeUnsupportedException>(() => IntegerTensors.Read(checkpoint, Name));
    }

    [Theory]
    [InlineData(0x7C00)]
    [InlineData(0x7E01)]
    [InlineData(0x8000)]
    [InlineData(0xBC00)]
    public void Read_ScaleThatIsNone_SaysSo(int bits)
    {
        using TempFolder folder = new();
        Save(folder, Stack(), scales: scales => scales[3] = (ushort)bits);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        var error = Assert.Throws<MoeFormatException>(() => IntegerTensors.Read(checkpoint, Name));
        Assert.Contains("int_scales", error.Message, StringComparison.Ordinal);
        IntegerStack wrong = Stack();
        wrong.Matrices[0].Scales[0] = (ushort)bits;
        Assert.Throws<ArgumentException>(() => IntegerTensors.Add(new SafetensorsWriter(), Name, wrong));
    }

    private static IntegerStack Stack()
    {
        IntegerShape shape = new(4, 70, 3);
        return new IntegerStack(
            shape, [Pack(shape, new byte[280], Fill(8, () => 1f), Fill(8, () => 3f))]);
    }

    /// <summary>Writes a stack's tensors, damaged.</summary>
    private static void Save(
        TempFolder folder, IntegerStack stack, Action<int[]>? header = null, Action<ushort[]>? scales = null)
    {
        SafetensorsWriter writer = new();
        IntegerTensors.Add(writer, Name, stack);
        writer.Save(folder["whole.safetensors"]);
        writer = new SafetensorsWriter();
        using (Checkpoint file = Checkpoint.OpenFile(folder["whole.safetensors"]))
        {
            foreach (string suffix in IntegerTensors.Suffixes)
            {
                Tensor tensor = file.Get(Name + suffix);
                byte[] bytes = new byte[tensor.ByteLength];
                tensor.Read(0, bytes);
                if (suffix == IntegerTensors.HeaderSuffix)
                    Change(bytes, header);
                else if (tensor.ElementType == ElementType.F16)
                    Change(bytes, scales);
                writer.Add(tensor.Name, tensor.ElementType, [.. tensor.Shape], stream => stream.Write(bytes));
            }
        }

        writer.Save(folder["model.safetensors"]);
        File.Delete(folder["whole.safetensors"]);
    }

    private static void Change<T>(byte[] bytes, Action<T[]>? change)
        where T : unmanaged
    {
        T[] values = System.Runtime.InteropServices.MemoryMarshal.Cast<byte, T>(bytes).ToArray();
        change?.Invoke(values);
        System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()).CopyTo(bytes);
    }

    private static IntegerCodes Pack(in IntegerShape shape, byte[] codes, float[] scales, float[] zeros)
    {
        fixed (byte* c = codes)
        fixed (float* s = scales)
        fixed (float* z = zeros)
            return IntegerCodes.Pack(shape, c, s, z);
    }

    private static float[] Values(in IntegerShape shape, IntegerCodes codes)
    {
        float[] values = new float[shape.Columns];
        fixed (byte* rows = codes.Rows)
        fixed (ushort* scales = codes.Scales)
        fixed (float* destination = values)
            IntegerRow.Unpack(WeightMatrix.Integers(rows, shape, scales), 0, 0, shape.Columns, destination);
        return values;
    }

    private static T[] Fill<T>(int count, Func<T> make) => [.. Enumerable.Range(0, count).Select(_ => make())];
}
