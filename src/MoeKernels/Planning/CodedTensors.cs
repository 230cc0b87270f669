using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Planning;

/// <summary>The codebook and integer matrices of a checkpoint, found by their headers.</summary>
internal sealed class CodedTensors
{
    private readonly HashSet<string> _parts = new(StringComparer.Ordinal);

    /// <exception cref="MoeFormatException">A header is damaged.</exception>
    /// <exception cref="MoeUnsupportedException">A header is of another version.</exception>
    public CodedTensors(Checkpoint checkpoint, WeightRoles roles)
    {
        Stacks =
        [
            .. CodebookTensors.StacksOf(checkpoint).Select(name => Codebooks(checkpoint, roles, name))
                .Concat(IntegerTensors.StacksOf(checkpoint).Select(name => Integers(checkpoint, roles, name)))
                .OrderBy(stack => stack.Name, StringComparer.Ordinal),
        ];
    }

    /// <summary>All stacks, in name order.</summary>
    public IReadOnlyList<CodedStack> Stacks { get; }

    /// <summary>Whether a tensor is part of a stack: its elements are no parameters.</summary>
    public bool IsPart(string tensor) => _parts.Contains(tensor);

    /// <summary>Memory the loader takes for the codebooks of a stack, beside what it maps: numbers as they are stored
    /// and as kernels read them, and the inputs' factors.</summary>
    public static long CopiedBytes(CodedStack stack, bool hasInputScales)
    {
        long pairs = (stack.Dimension + 1) / 2 * 2;
        long vectors = (long)stack.Stages * CodebookShape.Vectors * (stack.Dimension + pairs + sizeof(short));
        long inputs = hasInputScales ? (sizeof(float) + sizeof(ushort)) * (long)stack.Columns : 0;
        return stack.Codebooks * (vectors + inputs);
    }

    private CodedStack Codebooks(Checkpoint checkpoint, WeightRoles roles, string name)
    {
        var (shape, count, codebooks) = CodebookTensors.ReadHeader(checkpoint, name);
        CheckBytes(checkpoint.Get(name + CodebookTensors.CodesSuffix), (Int128)count * shape.CodeBytes);
        return new CodedStack(
            name, roles.Of(name), count, shape.Rows, shape.Columns, shape.Dimension, shape.Stages, codebooks,
            Take(checkpoint, name, CodebookTensors.Suffixes));
    }

    private CodedStack Integers(Checkpoint checkpoint, WeightRoles roles, string name)
    {
        var (shape, count) = IntegerTensors.ReadHeader(checkpoint, name);
        CheckBytes(
            checkpoint.Get(name + IntegerTensors.RowsSuffix), (Int128)count * shape.Rows * shape.RowBytes);
        return new CodedStack(
            name, roles.Of(name), count, shape.Rows, shape.Columns, 0, 0, 0,
            Take(checkpoint, name, IntegerTensors.Suffixes))
        {
            Encoding = FormattableString.Invariant($"int{shape.Bits}"),
        };
    }

    /// <summary>The header's numbers are then bounded by a file that is there.</summary>
    private static void CheckBytes(Tensor codes, Int128 expected)
    {
        if (codes.ByteLength != expected)
        {
            throw codes.Error($"has {codes.ByteLength} bytes, the header asks for {expected}");
        }
    }

    /// <summary>Bytes of a stack's tensors.</summary>
    private long Take(Checkpoint checkpoint, string name, IEnumerable<string> suffixes)
    {
        long bytes = 0;
        foreach (string suffix in suffixes)
        {
            if (checkpoint.TryGet(name + suffix, out var tensor))
            {
                _parts.Add(tensor.Name);
                bytes += tensor.ByteLength;
            }
        }

        return bytes;
    }
}
