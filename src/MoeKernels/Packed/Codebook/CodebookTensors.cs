using System.Buffers.Binary;
using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>Codebook matrices as plain safetensors tensors in the kernels' own order (FORMAT.md): loading is mapping
/// the file.</summary>
internal static unsafe class CodebookTensors
{
    /// <summary>Version this code writes and the only one it reads.</summary>
    public const int Version = 1;

    private const int HeaderLength = 16;
    private const string HeaderSuffix = ".header";
    private const string ScalesSuffix = ".scales";
    private const string CodesSuffix = ".codes";

    /// <summary>Declares the three tensors of a matrix.</summary>
    /// <param name="writer">The file.</param>
    /// <param name="name">Name of the matrix.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="codes">Codes in the kernels' order.</param>
    /// <param name="scales">Bits of the half-precision scales, [padded rows].</param>
    /// <exception cref="ArgumentException">A length is wrong, a number is no scale, or a name is taken.</exception>
    public static void Add(
        SafetensorsWriter writer, string name, CodebookShape shape, ReadOnlyMemory<byte> codes,
        ReadOnlyMemory<ushort> scales)
    {
        if (FirstBadScale(shape, scales.Span) is { } row)
            throw new ArgumentException($"Row {row} has no scale that is zero or positive and normal.", nameof(scales));

        int[] header = new int[HeaderLength];
        header[0] = Version;
        header[1] = shape.Rows;
        header[2] = shape.Columns;
        header[3] = shape.Dimension;
        header[4] = shape.Stages;
        writer.Add(name + HeaderSuffix, [HeaderLength], header);
        writer.Add(name + ScalesSuffix, ElementType.F16, [shape.PaddedRows], scales);
        writer.Add(name + CodesSuffix, ElementType.U8, CodesShape(shape), codes);
    }

    /// <summary>Declares the tensor of a codebook.</summary>
    public static void Add(SafetensorsWriter writer, string name, Codebook codebook)
    {
        ReadOnlySpan<long> shape = [codebook.Stages, CodebookShape.Vectors, codebook.Dimension];
        writer.Add<sbyte>(name, ElementType.I8, shape, codebook.Vectors.ToArray());
    }

    /// <summary>Views a matrix in the mapped file.</summary>
    /// <param name="checkpoint">The files; they must stay open while the view is used.</param>
    /// <param name="name">Name of the matrix.</param>
    /// <exception cref="MoeFormatException">A tensor is missing or contradicts the header.</exception>
    /// <exception cref="MoeUnsupportedException">The version is another one.</exception>
    public static CodebookMatrix ReadMatrix(Checkpoint checkpoint, string name)
    {
        CodebookShape shape = ReadHeader(checkpoint.Get(name + HeaderSuffix));
        Tensor scales = checkpoint.Get(name + ScalesSuffix);
        Tensor codes = checkpoint.Get(name + CodesSuffix);
        Check(scales, ElementType.F16, [shape.PaddedRows]);
        Check(codes, ElementType.U8, CodesShape(shape));

        // The safetensors header promises no alignment of the file's parts to the scales' two bytes.
        if (((nint)scales.Data & 1) != 0)
            throw scales.Error("starts at an odd address");
        if (FirstBadScale(shape, new ReadOnlySpan<ushort>(scales.Data, shape.PaddedRows)) is { } row)
            throw scales.Error($"row {row} has no scale that is zero or positive and normal");
        return new CodebookMatrix(shape, codes.Data, (ushort*)scales.Data);
    }

    /// <summary>Reads a codebook and prepares it for the kernels.</summary>
    /// <exception cref="MoeFormatException">The tensor is missing or no codebook.</exception>
    public static Codebook ReadCodebook(Checkpoint checkpoint, string name)
    {
        Tensor tensor = checkpoint.Get(name);
        if (tensor.ElementType != ElementType.I8 || tensor.Shape is not
            [>= 1 and <= CodebookShape.MaxStages, CodebookShape.Vectors, >= 1 and <= CodebookShape.MaxDimension])
        {
            throw tensor.Error($"is {tensor.Info}, no codebook: I8 [stages, 128, dimension]");
        }

        byte[] bytes = new byte[tensor.ByteLength];
        tensor.Read(0, bytes);
        ReadOnlySpan<sbyte> vectors = MemoryMarshal.Cast<byte, sbyte>(bytes);
        (int stages, int dimension) = ((int)tensor.Shape[0], (int)tensor.Shape[2]);
        return Codebook.Problem(dimension, stages, vectors) is { } problem
            ? throw tensor.Error(problem)
            : new Codebook(dimension, stages, vectors);
    }

    private static long[] CodesShape(CodebookShape shape) =>
        [(long)shape.Entries * shape.Blocks, CodebookShape.BlockRows];

    private static CodebookShape ReadHeader(Tensor tensor)
    {
        Check(tensor, ElementType.I32, [HeaderLength]);
        Span<byte> bytes = stackalloc byte[HeaderLength * sizeof(int)];
        tensor.Read(0, bytes);
        Span<int> header = stackalloc int[HeaderLength];
        for (int i = 0; i < HeaderLength; i++)
            header[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(i * sizeof(int))..]);

        if (header[0] != Version)
            throw new MoeUnsupportedException($"version {header[0]} of codebook matrices", tensor.FilePath);
        if (header[5..].ContainsAnyExcept(0))
            throw tensor.Error("has numbers behind the stages");
        try
        {
            return new CodebookShape(header[1], header[2], header[3], header[4]);
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw tensor.Error($"gives {e.ParamName} as {e.ActualValue}, out of range");
        }
    }

    private static void Check(Tensor tensor, ElementType type, ReadOnlySpan<long> shape)
    {
        if (tensor.ElementType != type || !shape.SequenceEqual(tensor.Shape.ToArray()))
        {
            throw tensor.Error(
                $"is {tensor.Info} instead of {type.FormatName()} [{string.Join(", ", shape.ToArray())}]");
        }
    }

    private static int? FirstBadScale(CodebookShape shape, ReadOnlySpan<ushort> scales)
    {
        if (scales.Length != shape.PaddedRows)
            return Math.Min(scales.Length, shape.PaddedRows);
        for (int row = 0; row < scales.Length; row++)
        {
            if (!CodebookMatrix.IsScale(scales[row]) || (row >= shape.Rows && scales[row] != 0))
                return row;
        }

        return null;
    }
}
