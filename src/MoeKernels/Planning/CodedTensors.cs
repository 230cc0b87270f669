using MoeKernels.Formats;
using MoeKernels.Packed;

namespace MoeKernels.Planning;

/// <summary>The codebook matrices of a checkpoint, found by their headers.</summary>
internal sealed class CodedTensors
{
    private readonly HashSet<string> _parts = new(StringComparer.Ordinal);

    /// <exception cref="MoeFormatException">A header is damaged.</exception>
    /// <exception cref="MoeUnsupportedException">A header is of another version.</exception>
    public CodedTensors(Checkpoint checkpoint, WeightRoles roles)
    {
        string ending = CodebookTensors.Suffixes[0];
        Stacks =
        [
            .. checkpoint.Names.Where(name => name.EndsWith(ending, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal)
                .Select(name => Read(checkpoint, roles, name[..^ending.Length])),
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

    private CodedStack Read(Checkpoint checkpoint, WeightRoles roles, string name)
    {
        var (shape, count, codebooks) = CodebookTensors.ReadHeader(checkpoint, name);
        var codes = checkpoint.Get(name + CodebookTensors.CodesSuffix);

        // The header's numbers are then bounded by a file that is there.
        if (codes.ByteLength != (Int128)count * shape.CodeBytes)
        {
            throw codes.Error($"has {codes.ByteLength} bytes, the header asks for {(Int128)count * shape.CodeBytes}");
        }

        long bytes = 0;
        foreach (string suffix in CodebookTensors.Suffixes)
        {
            if (checkpoint.TryGet(name + suffix, out var tensor))
            {
                _parts.Add(tensor.Name);
                bytes += tensor.ByteLength;
            }
        }

        return new CodedStack(
            name, roles.Of(name), count, shape.Rows, shape.Columns, shape.Dimension, shape.Stages, codebooks, bytes);
    }
}
