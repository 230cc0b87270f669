using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Packed;

/// <summary>Codebook matrices in safetensors files, good ones and others.</summary>
public sealed unsafe class CodebookTensorsTests
{
    private static readonly CodebookShape Shape = new(70, 50, 6, 2);

    [Fact]
    public void Matrix_WrittenAndMapped_IsTheSame()
    {
        using TempFolder folder = new();
        using TestCodebook source = new(Shape, 1);
        SafetensorsWriter writer = new();
        CodebookTensors.Add(writer, "up", Shape, source.Codes.ToArray(), source.Scales.ToArray());
        CodebookTensors.Add(writer, "up.codebook", source.Vectors);
        writer.Save(folder["model.safetensors"]);

        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        using Codebook codebook = CodebookTensors.ReadCodebook(checkpoint, "up.codebook");
        CodebookMatrix matrix = CodebookTensors.ReadMatrix(checkpoint, "up");
        Assert.Equal(Shape, matrix.Shape);
        Assert.True(source.Codes.SequenceEqual(new ReadOnlySpan<byte>(matrix.Codes, (int)Shape.CodeBytes)));
        Assert.True(source.Scales.SequenceEqual(new ReadOnlySpan<ushort>(matrix.Scales, Shape.PaddedRows)));
        Assert.True(source.Vectors.Vectors.SequenceEqual(codebook.Vectors));
        float[] expected = new float[Shape.Columns], actual = new float[Shape.Columns];
        for (int row = 0; row < Shape.Rows; row++)
        {
            CodebookReference.Unpack(source.View, source.Vectors, row, expected);
            CodebookReference.Unpack(matrix, codebook, row, actual);
            Assert.Equal(expected, actual);
            for (int entry = 0; entry < Shape.Entries; entry++)
                Assert.Equal(source.Natural[(row * Shape.Entries) + entry], matrix.Code(row, entry));
        }
    }

    [Fact]
    public void Matrix_ReadByPythonFromTheFormatAlone_IsTheSame()
    {
        using TempFolder folder = new();
        using TestCodebook source = new(new CodebookShape(330, 70, 3, 3), 2);
        SafetensorsWriter writer = new();
        CodebookTensors.Add(writer, "up", source.Shape, source.Codes.ToArray(), source.Scales.ToArray());
        CodebookTensors.Add(writer, "c", source.Vectors);
        writer.Save(folder["model.safetensors"]);
        string[] lines = RunPython(folder["model.safetensors"], "up", "c");
        Assert.Equal(source.Shape.Rows, lines.Length);
        float[] expected = new float[source.Shape.Columns];
        for (int row = 0; row < lines.Length; row++)
        {
            int[] numbers = [.. lines[row].Split(' ').Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
            Assert.Equal(source.Scales[row], numbers[0]);
            CodebookReference.Unpack(source.View, source.Vectors, row, expected);
            Assert.Equal(expected, numbers[1..].Select(number => source.View.Scale(row) * number));
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
    [InlineData(5, 1, "behind")]
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
        Assert.Throws<ArgumentException>(
            () => CodebookTensors.Add(new SafetensorsWriter(), "up", Shape, new byte[Shape.CodeBytes], scales));
    }

    [Theory]
    [InlineData(5, 128, 8)]
    [InlineData(1, 127, 8)]
    [InlineData(1, 128, 17)]
    [InlineData(0, 128, 8)]
    public void Codebook_WrongExtents_IsRefused(int stages, int vectors, int dimension)
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        writer.Add<sbyte>(
            "c", ElementType.I8, [stages, vectors, dimension], new sbyte[stages * vectors * dimension]);
        writer.Save(folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Throws<MoeFormatException>(() => CodebookTensors.ReadCodebook(checkpoint, "c"));
    }

    [Fact]
    public void Codebook_NumbersThatOverflow_IsRefused()
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        sbyte[] numbers = new sbyte[128 * 8];
        numbers[77] = -128;
        writer.Add<sbyte>("c", ElementType.I8, [1, 128, 8], numbers);
        writer.Save(folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Throws<MoeFormatException>(() => CodebookTensors.ReadCodebook(checkpoint, "c"));
        Assert.Throws<MoeFormatException>(() => CodebookTensors.ReadMatrix(checkpoint, "c"));
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

    private static int[] Header() => [1, Shape.Rows, Shape.Columns, Shape.Dimension, Shape.Stages, .. new int[11]];

    private static ushort[] Scales()
    {
        ushort[] scales = new ushort[Shape.PaddedRows];
        scales.AsSpan(0, Shape.Rows).Fill(0x3C00);
        return scales;
    }

    /// <summary>Writes the three tensors by hand and opens them.</summary>
    private static CodebookShape Open(int[] header, ushort[] scales)
    {
        using TempFolder folder = new();
        SafetensorsWriter writer = new();
        writer.Add("up.header", [header.Length], header);
        writer.Add<ushort>("up.scales", ElementType.F16, [scales.Length], scales);
        writer.Add<byte>("up.codes", ElementType.U8, [Shape.CodeBytes / 64, 64], new byte[Shape.CodeBytes]);
        writer.Save(folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        return CodebookTensors.ReadMatrix(checkpoint, "up").Shape;
    }
}
