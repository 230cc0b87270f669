using System.Buffers.Binary;
using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>Stacks of codebook matrices as plain safetensors tensors in the kernels' own order (FORMAT.md): loading is
/// mapping the file.</summary>
internal static unsafe class CodebookTensors
{
    /// <summary>Version this code writes and the only one it reads.</summary>
    public const int Version = 1;

    /// <summary>Numbers of the header.</summary>
    public const int HeaderLength = 16;

    /// <summary>Ending of the optional factors of the inputs.</summary>
    public const string InputsSuffix = ".inputs";

    /// <summary>Ending of the codes.</summary>
    public const string CodesSuffix = ".codes";

    private const string HeaderSuffix = ".header";
    private const string ScalesSuffix = ".scales";
    private const string CodebookSuffix = ".codebook";

    /// <summary>Endings of the tensors of a stack, the header first.</summary>
    public static IReadOnlyList<string> Suffixes { get; } =
        [HeaderSuffix, ScalesSuffix, CodesSuffix, CodebookSuffix, InputsSuffix];

    /// <summary>Whether a checkpoint has a stack of that name.</summary>
    public static bool Contains(Checkpoint checkpoint, string name) => checkpoint.Contains(name + HeaderSuffix);

    /// <summary>Names of all stacks of a checkpoint.</summary>
    public static IEnumerable<string> StacksOf(Checkpoint checkpoint) => checkpoint.Names
        .Where(name => name.EndsWith(HeaderSuffix, StringComparison.Ordinal))
        .Select(name => name[..^HeaderSuffix.Length]).Order(StringComparer.Ordinal);

    /// <summary>Declares the tensors of a stack.</summary>
    /// <param name="writer">The file.</param>
    /// <param name="name">Name of the stack.</param>
    /// <param name="stack">Its matrices; read while the file is written.</param>
    /// <exception cref="ArgumentException">A length is wrong, a number is no scale, or a name is taken.</exception>
    public static void Add(SafetensorsWriter writer, string name, CodebookStack stack)
    {
        CodebookShape shape = stack.Shape;
        Check(stack);
        int[] header = new int[HeaderLength];
        header[0] = Version;
        header[1] = shape.Rows;
        header[2] = shape.Columns;
        header[3] = shape.Dimension;
        header[4] = shape.Stages;
        header[5] = stack.Count;
        header[6] = stack.Codebooks.Count;
        writer.Add(name + HeaderSuffix, [HeaderLength], header);
        writer.Add(name + ScalesSuffix, ElementType.F16, [stack.Count, shape.PaddedRows], stream =>
        {
            foreach (ushort[] scales in stack.Scales)
                stream.Write(MemoryMarshal.AsBytes<ushort>(scales));
        });
        writer.Add(name + CodesSuffix, ElementType.U8, CodesShape(shape, stack.Count), stream =>
        {
            foreach (byte[] codes in stack.Codes)
                stream.Write(codes);
        });
        writer.Add(
            name + CodebookSuffix, ElementType.I8,
            [stack.Codebooks.Count, shape.Stages, CodebookShape.Vectors, shape.Dimension], stream =>
            {
                foreach (Codebook codebook in stack.Codebooks)
                    stream.Write(MemoryMarshal.AsBytes(codebook.Vectors));
            });
        if (!stack.HasInputScales)
            return;
        writer.Add(name + InputsSuffix, ElementType.F16, [stack.Codebooks.Count, shape.Columns], stream =>
        {
            foreach (Codebook codebook in stack.Codebooks)
                stream.Write(MemoryMarshal.AsBytes(codebook.InputScales));
        });
    }

    /// <summary>Sizes of a stack, from its header alone.</summary>
    /// <exception cref="MoeFormatException">The header is missing or damaged.</exception>
    /// <exception cref="MoeUnsupportedException">The version is another one.</exception>
    public static (CodebookShape Shape, int Count, int Codebooks) ReadHeader(Checkpoint checkpoint, string name)
    {
        Tensor tensor = checkpoint.Get(name + HeaderSuffix);
        Check(tensor, ElementType.I32, [HeaderLength]);
        Span<byte> bytes = stackalloc byte[HeaderLength * sizeof(int)];
        tensor.Read(0, bytes);
        Span<int> header = stackalloc int[HeaderLength];
        for (int i = 0; i < HeaderLength; i++)
            header[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(i * sizeof(int))..]);

        if (header[0] != Version)
            throw new MoeUnsupportedException($"version {header[0]} of codebook matrices", tensor.FilePath);
        if (header[7..].ContainsAnyExcept(0))
            throw tensor.Error("has numbers behind the codebooks");
        if (header[5] < 1 || (header[6] != 1 && header[6] != header[5]))
            throw tensor.Error($"gives {header[5]} matrices and {header[6]} codebooks");
        try
        {
            return (new CodebookShape(header[1], header[2], header[3], header[4]), header[5], header[6]);
        }
        catch (ArgumentOutOfRangeException e)
        {
            throw tensor.Error($"gives {e.ParamName} as {e.ActualValue}, out of range");
        }
    }

    /// <summary>Views the matrices of a stack in the mapped file.</summary>
    /// <param name="checkpoint">The files; they must stay open while the views are used.</param>
    /// <param name="name">Name of the stack.</param>
    /// <param name="codebooks">Receives the codebooks, prepared for the kernels; the caller keeps them as long as the
    /// views, and disposes them.</param>
    /// <exception cref="MoeFormatException">A tensor is missing or contradicts the header.</exception>
    /// <exception cref="MoeUnsupportedException">The version is another one.</exception>
    public static WeightMatrix[] Read(Checkpoint checkpoint, string name, out IReadOnlyList<Codebook> codebooks)
    {
        (CodebookShape shape, int count, int codebookCount) = ReadHeader(checkpoint, name);
        Tensor scales = checkpoint.Get(name + ScalesSuffix);
        Tensor codes = checkpoint.Get(name + CodesSuffix);
        Check(scales, ElementType.F16, [count, shape.PaddedRows]);
        Check(codes, ElementType.U8, CodesShape(shape, count));

        // The safetensors header promises no alignment of the file's parts to the scales' two bytes.
        if (((nint)scales.Data & 1) != 0)
            throw scales.Error("starts at an odd address");
        CheckScales(scales, shape, count);
        Codebook[] books = ReadCodebooks(checkpoint, name, shape, codebookCount);
        codebooks = books;
        var matrices = new WeightMatrix[count];
        for (int e = 0; e < count; e++)
        {
            matrices[e] = WeightMatrix.Codebook(
                codes.Data + (e * shape.CodeBytes), shape.Rows, shape.Columns,
                (ushort*)scales.Data + ((nint)e * shape.PaddedRows), books[e % codebookCount].Native);
        }

        return matrices;
    }

    private static Codebook[] ReadCodebooks(Checkpoint checkpoint, string name, CodebookShape shape, int count)
    {
        Tensor tensor = checkpoint.Get(name + CodebookSuffix);
        Check(tensor, ElementType.I8, [count, shape.Stages, CodebookShape.Vectors, shape.Dimension]);
        Half[] inputs = ReadInputs(checkpoint, name, shape, count);
        byte[] bytes = new byte[tensor.ByteLength];
        tensor.Read(0, bytes);
        var books = new Codebook[count];
        int length = bytes.Length / count;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<sbyte> vectors = MemoryMarshal.Cast<byte, sbyte>(bytes.AsSpan(i * length, length));
            if (Codebook.Problem(shape.Dimension, shape.Stages, vectors) is { } problem)
            {
                Array.ForEach(books[..i], book => book.Dispose());
                throw tensor.Error(problem);
            }

            ReadOnlySpan<Half> own = inputs.Length == 0 ? [] : inputs.AsSpan(i * shape.Columns, shape.Columns);
            books[i] = new Codebook(shape.Dimension, shape.Stages, vectors, own);
        }

        return books;
    }

    private static Half[] ReadInputs(Checkpoint checkpoint, string name, CodebookShape shape, int count)
    {
        if (!checkpoint.TryGet(name + InputsSuffix, out Tensor? tensor))
            return [];
        Check(tensor, ElementType.F16, [count, shape.Columns]);
        byte[] bytes = new byte[tensor.ByteLength];
        tensor.Read(0, bytes);
        Half[] inputs = MemoryMarshal.Cast<byte, Half>(bytes).ToArray();
        int bad = Array.FindIndex(inputs, scale => scale == default || !IsScale(scale));
        return bad < 0 ? inputs : throw tensor.Error($"number {bad} is not positive and normal");
    }

    private static bool IsScale(Half scale) => CodebookMatrix.IsScale(BitConverter.HalfToUInt16Bits(scale));

    private static long[] CodesShape(CodebookShape shape, int count) =>
        [count, (long)shape.Entries * shape.Blocks, CodebookShape.BlockRows];

    private static void Check(Tensor tensor, ElementType type, ReadOnlySpan<long> shape)
    {
        if (tensor.ElementType != type || !shape.SequenceEqual(tensor.Shape.ToArray()))
        {
            throw tensor.Error(
                $"is {tensor.Info} instead of {type.FormatName()} [{string.Join(", ", shape.ToArray())}]");
        }
    }

    private static void Check(CodebookStack stack)
    {
        bool fits = stack.Scales.Count == stack.Count
            && (stack.Codebooks.Count == 1 || stack.Codebooks.Count == stack.Count)
            && stack.Codes.All(codes => codes.Length == stack.Shape.CodeBytes)
            && stack.Codebooks.All(book => book.Dimension == stack.Shape.Dimension
                && book.Stages == stack.Shape.Stages
                && book.InputScales.Length == (stack.HasInputScales ? stack.Shape.Columns : 0));
        if (!fits)
            throw new ArgumentException($"Matrices and codebooks do not fit {stack.Shape}.", nameof(stack));
        foreach (ushort[] scales in stack.Scales)
        {
            if (FirstBadScale(stack.Shape, scales) is { } row)
            {
                throw new ArgumentException(
                    $"Row {row} has no scale that is zero or positive and normal.", nameof(stack));
            }
        }
    }

    private static void CheckScales(Tensor tensor, CodebookShape shape, int count)
    {
        for (int e = 0; e < count; e++)
        {
            ReadOnlySpan<ushort> own = new((ushort*)tensor.Data + ((nint)e * shape.PaddedRows), shape.PaddedRows);
            if (FirstBadScale(shape, own) is { } row)
                throw tensor.Error($"row {row} of matrix {e} has no scale that is zero or positive and normal");
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
