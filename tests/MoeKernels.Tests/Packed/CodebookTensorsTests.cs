using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Packed;

/// <summary>Codebook matrices in safetensors files, good ones and others.</summary>
public sealed unsafe class CodebookTensorsTests
{
    private static readonly CodebookShape Shape = new(70, 50, 6, 2);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Stack_WrittenAndMapped_IsTheSame(bool inputScales)
    {
        using TempFolder folder = new();
        using TestStack source = new(Shape, 3, inputScales);
        SafetensorsWriter writer = new();
        CodebookTensors.Add(writer, "up", source.Stack);
        writer.Save(folder["model.safetensors"]);

        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        WeightMatrix[] matrices = CodebookTensors.Read(checkpoint, "up", out IReadOnlyList<Codebook> codebooks);
        Assert.Equal(3, matrices.Length);
        Assert.Equal(
            source.Stack.ByteLength,
            CodebookTensors.Suffixes.Sum(suffix => checkpoint.TryGet("up" + suffix, out Tensor? t) ? t.ByteLength : 0));
        float[] expected = new float[Shape.Columns], actual = new float[Shape.Columns];
        for (int e = 0; e < matrices.Length; e++)
        {
            CodebookMatrix matrix = CodebookMatrix.Of(matrices[e]);
            Assert.Equal(Shape, matrix.Shape);
            Assert.True(source.Stack.Codes[e].AsSpan().SequenceEqual(new(matrix.Codes, (int)Shape.CodeBytes)));
            Assert.True(source.Stack.Scales[e].AsSpan().SequenceEqual(new(matrix.Scales, Shape.PaddedRows)));
            for (int row = 0; row < Shape.Rows; row++)
            {
                CodebookReference.Unpack(source.Matrices[e].View, source.Stack.Codebooks[0], row, expected);
                CodebookReference.Unpack(matrix, codebooks[0], row, actual);
                Assert.Equal(expected, actual);
                for (int column = 0; column < Shape.Columns; column++)
                    Assert.Equal(expected[column], WeightElement.Get(matrices[e], row, column));
                fixed (float* y = actual)
                    CodebookRow.Unpack(matrices[e], row, 3, Shape.Columns - 3, y + 3);
                Assert.Equal(expected, actual);
            }
        }

        foreach (Codebook codebook in codebooks)
            codebook.Dispose();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Stack_ReadByPythonFromTheFormatAlone_IsTheSame(bool inputScales)
    {
        using TempFolder folder = new();
        using TestStack source = new(new CodebookShape(330, 70, 3, 3), 2, inputScales);
        SafetensorsWriter writer = new();
        CodebookTensors.Add(writer, "up", source.Stack);
        writer.Save(folder["model.safetensors"]);
        string[] lines = RunPython(folder["model.safetensors"], "up");
        CodebookShape shape = source.Stack.Shape;
        Assert.Equal(1 + (2 * shape.Rows), lines.Length);
        float[] inputs = [.. Numbers(lines[0]).Select(bits => (float)BitConverter.UInt16BitsToHalf((ushort)bits))];
        float[] expected = new float[shape.Columns];
        for (int i = 0; i < lines.Length - 1; i++)
        {
            (int e, int row) = Math.DivRem(i, shape.Rows);
            int[] numbers = Numbers(lines[i + 1]);
            Assert.Equal(source.Stack.Scales[e][row], numbers[0]);
            CodebookReference.Unpack(source.Matrices[e].View, source.Stack.Codebooks[0], row, expected);
            float scale = source.Matrices[e].View.Scale(row);
            Assert.Equal(expected, numbers[1..].Select((number, column) => scale * number * inputs[column]));
        }
    }

    [Theory]
    [InlineData(1, 129, "scales")]
    [InlineData(1, 0, "rows")]
    [InlineData(1, int.MaxValue, "rows")]
    [InlineData(2, -50, "columns")]
    [InlineData(2, 43, "codes")]
    [InlineData(3, 5, "codes")]
    [InlineData(3, 17, "dimension")]
    [InlineData(4, 3, "codes")]
    [InlineData(4, int.MinValue, "stages")]
    [InlineData(5, 0, "matrices")]
    [InlineData(5, 2, "scales")]
    [InlineData(6, 2, "matrices")]
    [InlineData(7, 1, "behind")]
    public void Matrix_HeaderThatContradicts_IsRefused(int index, int value, string named)
    {
        int[] header = Header();
        header[index] = value;
        MoeFormatException error = Assert.Throws<MoeFormatException>(() => Open(header, Scales()));
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Matrix_AnotherVersion_IsUnsupported()
    {
        int[] header = Header();
        header[0] = 2;
        Assert.Throws<MoeUnsupportedException>(() => Open(header, Scales()));
    }

    [Theory]
    [InlineData(0x0001, 0)] // denormal
    [InlineData(0x7C00, 5)] // infinity
    [InlineData(0x7E00, 69)] // not a number
    [InlineData(0xBC00, 3)] // negative
    [InlineData(0x3C00, 70)] // in a padding row
    public void Matrix_BadScale_IsRefusedWithItsRow(int bits, int row)
    {
        ushort[] scales = Scales();
        scales[row] = (ushort)bits;
        MoeFormatException error = Assert.Throws<MoeFormatException>(() => Open(Header(), scales));
        Assert.Contains($"row {row} ", error.Message, StringComparison.Ordinal);
        using Codebook codebook = new(Shape.Dimension, Shape.Stages, Numbers());
        CodebookStack stack = new(Shape, [new byte[Shape.CodeBytes]], [scales], [codebook]);
        Assert.Throws<ArgumentException>(() => CodebookTensors.Add(new SafetensorsWriter(), "up", stack));
    }

    [Theory]
    [InlineData(2, 128, 6)]
    [InlineData(1, 127, 6)]
    [InlineData(1, 128, 7)]
    public void Codebook_WrongExtents_IsRefused(int codebooks, int vectors, int dimension)
    {
        sbyte[] numbers = new sbyte[codebooks * 2 * vectors * dimension];
        Assert.Throws<MoeFormatException>(() => Open(Header(), Scales(), numbers, [codebooks, 2, vectors, dimension]));
    }

    [Fact]
    public void Codebook_NumbersThatOverflow_IsRefused()
    {
        sbyte[] numbers = Numbers();
        numbers[77] = -128;
        Assert.Throws<MoeFormatException>(() => Open(Header(), Scales(), numbers));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0x0001)]
    [InlineData(0x7C00)]
    [InlineData(0xBC00)]
    public void Inputs_BadFactor_IsRefused(int bits)
    {
        ushort[] inputs = new ushort[Shape.Columns];
        Array.Fill(inputs, (ushort)0x3C00);
        inputs[9] = (ushort)bits;
        MoeFormatException error = Assert.Throws<MoeFormatException>(
            () => Open(Header(), Scales(), Numbers(), inputs: inputs));
        Assert.Contains("number 9 ", error.Message, StringComparison.Ordinal);
    }

    private static string[] RunPython(params string[] arguments)
    {
        string script = RepositoryPaths.DataFile("codebook", "read.py");
        ProcessStartInfo start = new("python3", [script, .. arguments]) { RedirectStandardOutput = true };
        try
        {
            using Process python = Process.Start(start)!;
            string output = python.StandardOutput.ReadToEnd();
            python.WaitForExit();
            Assert.Equal(0, python.ExitCode);
            return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        }
        catch (Win32Exception)
        {
            Assert.Skip("python3 is not installed");
            throw;
        }
    }

    private static int[] Numbers(string line) =>
        [.. line.Split(' ').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];

    private static sbyte[] Numbers() => new sbyte[Shape.Stages * CodebookShape.Vectors * Shape.Dimension];

    private static int[] Header() =>
        [1, Shape.Rows, Shape.Columns, Shape.Dimension, Shape.Stages, 1, 1, .. new int[9]];

    private static ushort[] Scales()
    {
        ushort[] scales = new ushort[Shape.PaddedRows];
        scales.AsSpan(0, Shape.Rows).Fill(0x3C00);
        return scales;
    }

    /// <summary>Writes the tensors by hand and opens them.</summary>
    private static CodebookShape Open(
        int[] header, ushort[] scales, sbyte[]? numbers = null, long[]? extents = null, ushort[]? inputs = null)
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        writer.Add("up.header", [header.Length], header);
        writer.Add<ushort>("up.scales", ElementType.F16, [1, scales.Length], scales);
        writer.Add<byte>("up.codes", ElementType.U8, [1, Shape.CodeBytes / 64, 64], new byte[Shape.CodeBytes]);
        extents ??= [1, Shape.Stages, CodebookShape.Vectors, Shape.Dimension];
        writer.Add<sbyte>("up.codebook", ElementType.I8, extents, numbers ?? Numbers());
        if (inputs is not null)
            writer.Add<ushort>("up.inputs", ElementType.F16, [1, inputs.Length], inputs);
        writer.Save(folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        WeightMatrix[] matrices = CodebookTensors.Read(checkpoint, "up", out IReadOnlyList<Codebook> codebooks);
        codebooks[0].Dispose();
        return matrices[0].CodebookShape;
    }
}
