using MoeKernels.Formats;

namespace MoeKernels.Tests.Formats;

public sealed unsafe class CheckpointWeightsTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly SafetensorsWriter _writer = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(ElementType.F32, WeightFormat.F32, 4)]
    [InlineData(ElementType.F16, WeightFormat.F16, 2)]
    [InlineData(ElementType.BF16, WeightFormat.BF16, 2)]
    public void Matrix_PlainTypes_AreViewsOfTheFile(ElementType type, WeightFormat format, int width)
    {
        AddBytes("w", type, [3, 5]);
        using Checkpoint checkpoint = Open();
        WeightMatrix matrix = checkpoint.Matrix("w", 3, 5);
        Assert.Equal((format, 3, 5, (nint)(5 * width)), (matrix.Format, matrix.Rows, matrix.Columns, matrix.RowBytes));
        Assert.True(matrix.Data == checkpoint.Get("w").Data);
        Assert.Equal((byte)(2 * 5 * width), matrix.Row(2)[0]);
    }

    [Fact]
    public void Matrices_FusedTensor_AreViewsPerExpert()
    {
        AddBytes("w", ElementType.BF16, [3, 2, 4]);
        using Checkpoint checkpoint = Open();
        WeightMatrix[] experts = checkpoint.Matrices("w", 3, 2, 4);
        Assert.Equal(3, experts.Length);
        Assert.Equal(2 * 16 + 8, experts[2].Row(1)[0]);
    }

    [Fact]
    public void Matrix_WrongShape_NamesBothShapes()
    {
        AddBytes("w", ElementType.F32, [3, 5]);
        using Checkpoint checkpoint = Open();
        var error = Assert.Throws<MoeFormatException>(() => { checkpoint.Matrix("w", 5, 3); });
        Assert.Equal("w", error.Item);
        Assert.Contains("[3, 5]", error.Message, StringComparison.Ordinal);
        Assert.Contains("[5, 3]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Matrix_WrongType_IsRefused()
    {
        AddBytes("w", ElementType.I32, [3, 5]);
        using Checkpoint checkpoint = Open();
        var error = Assert.Throws<MoeFormatException>(() => { checkpoint.Matrix("w", 3, 5); });
        Assert.Contains("I32 [3, 5]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Matrix_Fp8WithBlockScales_KeepsRaggedEdges()
    {
        AddBytes("w", ElementType.F8E4M3, [5, 7]);
        _writer.Add("w_scale_inv", [3, 2], new float[] { 1, 2, 3, 4, 5, 6 });
        using Checkpoint checkpoint = Open();
        WeightMatrix matrix = checkpoint.Matrix("w", 5, 7, 2, 4);
        Assert.Equal((WeightFormat.F8E4M3, 2, 4), (matrix.Format, matrix.BlockRows, matrix.BlockColumns));
        Assert.Equal(8, matrix.ScaleRowBytes);
        Assert.Equal(6f, ((float*)matrix.Scales)[5]);
    }

    [Theory]
    [InlineData(new long[] { 5, 1 }, 1, 7)]
    [InlineData(new long[] { 5 }, 1, 7)]
    [InlineData(new long[] { 1 }, 5, 7)]
    [InlineData(new long[0], 5, 7)]
    public void Matrix_Fp8WithRowOrTensorScale_SharesTheScale(long[] shape, int blockRows, int blockColumns)
    {
        AddBytes("w", ElementType.F8E4M3, [5, 7]);
        _writer.Add("w_scale", shape, new float[shape is [5, ..] ? 5 : 1]);
        using Checkpoint checkpoint = Open();
        WeightMatrix matrix = checkpoint.Matrix("w", 5, 7, 2, 4);
        Assert.Equal((blockRows, blockColumns), (matrix.BlockRows, matrix.BlockColumns));
        Assert.Equal(4, matrix.ScaleRowBytes);
    }

    [Fact]
    public void Matrices_FusedFp8_GiveEachExpertItsScales()
    {
        AddBytes("w", ElementType.F8E4M3, [2, 4, 4]);
        ushort[] oneToFour = [0x3F80, 0x4000, 0x4040, 0x4080];
        _writer.Add<ushort>("w_scale_inv", ElementType.BF16, [2, 2, 1], oneToFour);
        using Checkpoint checkpoint = Open();
        WeightMatrix[] experts = checkpoint.Matrices("w", 2, 4, 4, 2, 4);
        Assert.Equal(16, experts[1].Data[0]);
        Assert.Equal([1f, 2f], new ReadOnlySpan<float>(experts[0].Scales, 2).ToArray());
        Assert.Equal([3f, 4f], new ReadOnlySpan<float>(experts[1].Scales, 2).ToArray());
    }

    [Fact]
    public void Matrix_Fp8WithoutOrWithWrongScales_IsRefused()
    {
        AddBytes("w", ElementType.F8E4M3, [4, 4]);
        AddBytes("v", ElementType.F8E4M3, [4, 4]);
        _writer.Add("v_scale_inv", [3, 3], new float[9]);
        using Checkpoint checkpoint = Open();
        var missing = Assert.Throws<MoeFormatException>(() => { checkpoint.Matrix("w", 4, 4); });
        Assert.Contains("neither w_scale_inv nor w_scale", missing.Message, StringComparison.Ordinal);
        var wrong = Assert.Throws<MoeFormatException>(() => { checkpoint.Matrix("v", 4, 4); });
        Assert.Equal("v_scale_inv", wrong.Item);
    }

    [Fact]
    public void Matrix_MxFp4Pair_IsAView()
    {
        AddBytes("w_blocks", ElementType.U8, [2, 3, 2, 16]);
        AddBytes("w_scales", ElementType.U8, [2, 3, 2]);
        using Checkpoint checkpoint = Open();
        Assert.True(checkpoint.HasMatrix("w"));
        Assert.False(checkpoint.HasMatrix("v"));
        WeightMatrix expert = checkpoint.Matrices("w", 2, 3, 64)[1];
        Assert.Equal((WeightFormat.MxFp4, 3, 64), (expert.Format, expert.Rows, expert.Columns));
        Assert.Equal(32, expert.RowBytes);
        Assert.Equal(96 + 32, expert.Row(1)[0]);
        Assert.Equal(6, expert.Scales[0]);
        Assert.Throws<MoeFormatException>(() => { checkpoint.Matrices("w", 2, 3, 65); });
        Assert.Throws<MoeFormatException>(() => { checkpoint.Matrices("w", 2, 3, 96); });
    }

    [Fact]
    public void Matrix_MxFp4WithWrongParts_IsRefused()
    {
        AddBytes("a_blocks", ElementType.U8, [3, 2, 16]);
        AddBytes("b_blocks", ElementType.I8, [3, 2, 16]);
        AddBytes("b_scales", ElementType.U8, [3, 2]);
        AddBytes("c_blocks", ElementType.U8, [3, 2, 16]);
        AddBytes("c_scales", ElementType.I8, [3, 2]);
        using Checkpoint checkpoint = Open();
        Assert.Equal("a_scales", Item("a"));
        Assert.Equal("b_blocks", Item("b"));
        Assert.Equal("c_scales", Item("c"));

        string? Item(string name) =>
            Assert.Throws<MoeFormatException>(() => { checkpoint.Matrix(name, 3, 64); }).Item;
    }

    [Fact]
    public void Vector_LengthAndType_AreChecked()
    {
        _writer.Add("v", [1, 3], new float[] { 1, 2, 3 });
        _writer.Add("one", [], new float[] { 4 });
        _writer.Add("ids", [3], new int[3]);
        using Checkpoint checkpoint = Open();
        Assert.Equal([1f, 2f, 3f], checkpoint.Vector("v", 3));
        Assert.Equal([4f], checkpoint.Vector("one", 1));
        Assert.Equal([1f, 2f, 3f], checkpoint.Singles("v", 1, 3));
        Assert.Null(checkpoint.OptionalVector("none", 3));
        Assert.Throws<MoeFormatException>(() => checkpoint.Vector("none", 3));
        Assert.Throws<MoeFormatException>(() => checkpoint.Vector("v", 2));
        Assert.Throws<MoeFormatException>(() => checkpoint.Singles("v", 3));
        Assert.Throws<MoeFormatException>(() => checkpoint.Vector("ids", 3));
    }

    [Fact]
    public void ToSingles_EveryE4M3Byte_EqualsItsFormula()
    {
        AddBytes("w", ElementType.F8E4M3, [256]);
        using Checkpoint checkpoint = Open();
        float[] values = checkpoint.Vector("w", 256);
        for (int bits = 0; bits < 256; bits++)
        {
            int exponent = (bits >> 3) & 15;
            int mantissa = bits & 7;
            double magnitude = exponent == 0 ? mantissa / 512.0 : (8 + mantissa) * Math.Pow(2, exponent - 10);
            float expected = (bits & 0x7F) == 0x7F ? float.NaN : (float)(bits < 128 ? magnitude : -magnitude);
            Assert.Equal(expected, values[bits]);
        }
    }

    [Fact]
    public void ToSingles_EveryFloatType_WidensExactly()
    {
        _writer.Add<double>("F64", ElementType.F64, [2], new[] { -2.5, double.PositiveInfinity });
        _writer.Add<Half>("F16", ElementType.F16, [2], new[] { (Half)(-2.5), Half.PositiveInfinity });
        _writer.Add<ushort>("BF16", ElementType.BF16, [2], new ushort[] { 0xC020, 0x7F80 });
        _writer.Add<byte>("F8E5M2", ElementType.F8E5M2, [2], new byte[] { 0xC1, 0x7C });
        using Checkpoint checkpoint = Open();
        foreach (string name in checkpoint.Names)
            Assert.Equal([-2.5f, float.PositiveInfinity], checkpoint.Vector(name, 2));
    }

    /// <summary>A tensor whose byte at position i is i.</summary>
    private void AddBytes(string name, ElementType type, long[] shape)
    {
        Assert.True(SafetensorsHeader.TryCountBytes(type, shape, out long bytes));
        byte[] data = [.. Enumerable.Range(0, (int)bytes).Select(i => (byte)i)];
        _writer.Add(name, type, shape, stream => stream.Write(data));
    }

    private Checkpoint Open()
    {
        _writer.Save(_folder["model.safetensors"]);
        return Checkpoint.Open(_folder.Path);
    }
}
