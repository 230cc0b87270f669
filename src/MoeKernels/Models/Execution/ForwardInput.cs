using System.Runtime.InteropServices;
using MoeKernels.Formats;

namespace MoeKernels.Models.Execution;

/// <summary>Token ids of a rectangular batch, one forward call's worth.</summary>
public sealed class ForwardInput
{
    private const string IdsName = "input_ids";
    private const string MaskName = "attention_mask";
    private const string DecoderName = "decoder_input_ids";

    /// <summary>Checks and takes the arrays.</summary>
    /// <param name="sequences">B.</param>
    /// <param name="ids">[B × T].</param>
    /// <param name="mask">[B × T], 1 for tokens and 0 for padding; null when nothing is padded.</param>
    /// <param name="decoderIds">[B × D], for encoder-decoder models only.</param>
    /// <exception cref="ArgumentException">An array is empty or not B rows of one length, or the mask is not as long as
    /// the ids.</exception>
    public ForwardInput(int sequences, int[] ids, int[]? mask = null, int[]? decoderIds = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(sequences);
        ArgumentNullException.ThrowIfNull(ids);
        (Sequences, Ids, Mask, DecoderIds) = (sequences, ids, mask, decoderIds);
        Length = LengthOf(IdsName, ids, sequences);
        DecoderLength = decoderIds is null ? 0 : LengthOf(DecoderName, decoderIds, sequences);
        if (mask is not null && mask.Length != ids.Length)
            throw new ArgumentException($"{MaskName} has {mask.Length} numbers for {ids.Length} ids.", nameof(mask));
    }

    /// <summary>B.</summary>
    public int Sequences { get; }

    /// <summary>T.</summary>
    public int Length { get; }

    /// <summary>D, 0 without decoder ids.</summary>
    public int DecoderLength { get; }

    /// <summary>[B × T].</summary>
    public int[] Ids { get; }

    /// <summary>[B × T] or null.</summary>
    public int[]? Mask { get; }

    /// <summary>[B × D] or null.</summary>
    public int[]? DecoderIds { get; }

    /// <summary>Reads <c>input_ids</c> and, where they are, <c>attention_mask</c> and <c>decoder_input_ids</c>, each
    /// [B, T] or [T] of 32- or 64-bit integers.</summary>
    /// <exception cref="MoeFormatException">The file is not valid, a tensor is missing, or its shape or a number does
    /// not fit.</exception>
    public static ForwardInput Open(string path)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        (int[] ids, long[] shape) = Read(file, IdsName)
            ?? throw new MoeFormatException(path, IdsName, "the tensor is missing");
        int[]? mask = Read(file, MaskName) is not { } m ? null : m.Shape.SequenceEqual(shape) ? m.Values
            : throw new MoeFormatException(path, MaskName, $"has another shape than {IdsName}");
        int sequences = shape.Length == 2 ? (int)shape[0] : 1;
        var decoder = Read(file, DecoderName);
        if (decoder is { } d && (d.Shape.Length == 2 ? d.Shape[0] : 1) != sequences)
            throw new MoeFormatException(path, DecoderName, $"has other rows than {IdsName}");
        return new ForwardInput(sequences, ids, mask, decoder?.Values);
    }

    private static (int[] Values, long[] Shape)? Read(SafetensorsFile file, string name)
    {
        if (!file.Tensors.TryGetValue(name, out TensorInfo? tensor))
            return null;
        if (tensor.ElementType is not (ElementType.I32 or ElementType.I64)
            || tensor.Shape.Count is not (1 or 2) || tensor.ElementCount == 0)
        {
            throw new MoeFormatException(file.Path, name, $"{tensor} where [B, T] integers belong");
        }

        byte[] bytes = new byte[tensor.ByteLength];
        file.Read(tensor, 0, bytes);
        return (tensor.ElementType == ElementType.I32
            ? MemoryMarshal.Cast<byte, int>(bytes).ToArray()
            : Narrow(file.Path, name, MemoryMarshal.Cast<byte, long>(bytes)), [.. tensor.Shape]);
    }

    private static int[] Narrow(string path, string name, ReadOnlySpan<long> values)
    {
        int[] narrow = new int[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            narrow[i] = values[i] is >= int.MinValue and <= int.MaxValue
                ? (int)values[i]
                : throw new MoeFormatException(path, name, $"{values[i]} is no token id");
        }

        return narrow;
    }

    private static int LengthOf(string name, int[] values, int sequences) =>
        values.Length > 0 && values.Length % sequences == 0
            ? values.Length / sequences
            : throw new ArgumentException($"{name} has {values.Length} numbers for {sequences} sequences.", name);
}
