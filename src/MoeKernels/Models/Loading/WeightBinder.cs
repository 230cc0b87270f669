using MoeKernels.Formats;
using MoeKernels.Models.Description;
using MoeKernels.Models.Layers;
using MoeKernels.Packed;

namespace MoeKernels.Models.Loading;

/// <summary>Turns names into weights: matrices become views of the mapped checkpoint in their stored width, small
/// vectors fp32 copies.</summary>
/// <remarks>Names of tensors nobody asks for (multi-token prediction layers, buffers) are never looked at.</remarks>
internal sealed unsafe class WeightBinder
{
    private readonly Checkpoint _checkpoint;
    private readonly StoredQuantization _quantization;
    private readonly IReadOnlyDictionary<string, WeightMatrix[]>? _replaced;
    private readonly HashSet<string> _bound = new(StringComparer.Ordinal);

    /// <summary>Reads what the config says about quantised weights.</summary>
    /// <param name="checkpoint">The mapped weights.</param>
    /// <param name="config">The root of the config.</param>
    /// <param name="memory">Owner of the copies.</param>
    /// <param name="replaced">Matrices that take the place of the checkpoint's, by the name of their stack; their
    /// memory is the caller's.</param>
    /// <param name="exactTernary">Whether ternary matrices become dense ones.</param>
    /// <exception cref="MoeUnsupportedException">The weights are quantised by an unknown method.</exception>
    public WeightBinder(
        Checkpoint checkpoint, ConfigReader config, ModelMemory memory,
        IReadOnlyDictionary<string, WeightMatrix[]>? replaced = null, bool exactTernary = false)
    {
        _checkpoint = checkpoint;
        _replaced = replaced;
        Memory = memory;
        Ternary = new TernaryBinder(checkpoint, memory, exactTernary);
        _quantization = StoredQuantization.Read(config);
    }

    /// <summary>Owner of what is copied.</summary>
    public ModelMemory Memory { get; }

    /// <summary>Matrices in QMoE's codewords.</summary>
    public TernaryBinder Ternary { get; }

    /// <summary>Tensors in use, for reading ahead.</summary>
    public IReadOnlyCollection<string> BoundTensors => _bound;

    /// <summary>Single matrices that were asked for, by first name.</summary>
    public Dictionary<string, (TensorName Name, WeightMatrix Matrix)> Single { get; } =
        new(StringComparer.Ordinal);

    /// <summary>Whether one of the names is there: as a plain matrix, as MXFP4 blocks, or as a stack of codebook or
    /// integer matrices.</summary>
    public bool Has(TensorName name) => Resolve(name) is not null;

    /// <summary>A matrix in its stored width.</summary>
    /// <exception cref="MoeFormatException">It is missing or has another shape or type.</exception>
    public WeightMatrix Matrix(TensorName name, int rows, int columns)
    {
        if (Ternary.Has(name))
            return Ternary.Convert([name], rows, columns)[0];

        string present = Present(name);
        WeightMatrix matrix = StackOrNull(name, 1, rows, columns, [name]) is { } stack
            ? stack[0]
            : _checkpoint.Matrix(
                Bound(present), rows, columns, _quantization.BlockRows, _quantization.BlockColumns);
        Single[name.First] = (name, matrix);
        return matrix;
    }

    /// <summary>Whether there is a stack of codebook or integer matrices of that name.</summary>
    public bool HasStack(TensorName name) => _replaced?.ContainsKey(name.First) == true
        || name.Spellings.Any(IsStack);

    /// <summary>The coded matrix of each expert, or null where the checkpoint has none of that name.</summary>
    /// <param name="name">Name of the stack.</param>
    /// <param name="experts">E.</param>
    /// <param name="rows">Rows of each.</param>
    /// <param name="columns">Columns of each.</param>
    /// <param name="dense">The same weights as dense tensors: a checkpoint that has both does not say which are
    /// meant.</param>
    /// <exception cref="MoeFormatException">A tensor is damaged, the sizes are others, or the weights are there
    /// twice.</exception>
    /// <exception cref="MoeUnsupportedException">They are of another version.</exception>
    public WeightMatrix[]? StackOrNull(
        TensorName name, int experts, int rows, int columns, IEnumerable<TensorName> dense)
    {
        if (_replaced is not null && _replaced.TryGetValue(name.First, out WeightMatrix[]? replaced))
            return replaced;
        if (name.Spellings.FirstOrDefault(IsStack) is not { } present)
            return null;
        return dense.SelectMany(tensor => tensor.Spellings).FirstOrDefault(_checkpoint.HasMatrix) is { } twice
            ? throw new MoeFormatException(
                _checkpoint.Folder, twice, $"is there as a dense tensor and coded as '{present}'; remove one of them")
            : Stack(present, experts, rows, columns);
    }

    /// <summary>One matrix per expert of a fused tensor [experts, rows, columns].</summary>
    /// <param name="name">Its names.</param>
    /// <param name="experts">E.</param>
    /// <param name="rows">Rows of each.</param>
    /// <param name="columns">Columns of each.</param>
    /// <param name="copied">The caller copies them now, so that there is nothing to read ahead.</param>
    /// <exception cref="MoeFormatException">It is missing or has another shape or type.</exception>
    public WeightMatrix[] Matrices(TensorName name, int experts, int rows, int columns, bool copied = false)
    {
        string present = Present(name);
        return _checkpoint.Matrices(
            copied ? present : Bound(present), experts, rows, columns,
            _quantization.BlockRows, _quantization.BlockColumns);
    }

    /// <summary>The tensor itself, for those whose shape decides what they are; null where it is missing.</summary>
    public Tensor? Find(TensorName name) => _checkpoint.TryGet(Present(name), out Tensor? tensor) ? tensor : null;

    /// <summary>A linear layer with its bias.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    public LinearWeights Linear(LinearSpec spec) => new(
        Matrix(spec.Weight, spec.Outputs, spec.Inputs),
        Bias(spec.Module.With(".bias"), spec.Outputs, spec.Bias));

    /// <summary>A bias as the rule has it, or null.</summary>
    /// <exception cref="MoeFormatException">It is required and missing, or has another shape or type.</exception>
    public float* Bias(TensorName name, int length, BiasRule rule) => rule switch
    {
        BiasRule.Required => Vector(name, length),
        BiasRule.WhenPresent => OptionalVector(name, length),
        _ => null,
    };

    /// <summary>A fp32 copy of a vector; axes of extent 1 around it are allowed.</summary>
    /// <exception cref="MoeFormatException">It is missing or has another length or no floats.</exception>
    public float* Vector(TensorName name, int length)
    {
        string present = Present(name);
        return Memory.Keep<float>(_checkpoint.Vector(present, length), present);
    }

    /// <summary>As <see cref="Vector"/>, or null where there is none.</summary>
    public float* OptionalVector(TensorName name, int length) => Has(name) ? Vector(name, length) : null;

    /// <summary>A fp32 copy of a small tensor of exactly this shape.</summary>
    /// <exception cref="MoeFormatException">It is missing or has another shape or no floats.</exception>
    public float[] Singles(TensorName name, params ReadOnlySpan<long> shape) =>
        _checkpoint.Singles(Present(name), shape);

    /// <summary>A normalisation with its weights.</summary>
    /// <exception cref="MoeFormatException">A tensor is missing or has another shape or type.</exception>
    public NormLayer Norm(NormSpec spec) => new(
        spec,
        spec.Kind == NormKind.RmsUnweighted ? null : Vector(spec.Module.With(".weight"), spec.Size),
        spec.Kind == NormKind.Layer ? OptionalVector(spec.Module.With(".bias"), spec.Size) : null);

    /// <summary>The name that is there; the first of all where none is, which the lookup then reports.</summary>
    private string Present(TensorName name) => Resolve(name) ?? name.First;

    private string? Resolve(TensorName name) => name.Spellings.FirstOrDefault(
        spelling => _checkpoint.HasMatrix(spelling) || IsStack(spelling));

    private bool IsStack(string name) =>
        CodebookTensors.Contains(_checkpoint, name) || IntegerTensors.Contains(_checkpoint, name);

    private WeightMatrix[] Stack(string name, int experts, int rows, int columns)
    {
        IReadOnlyList<Codebook> codebooks = [];
        WeightMatrix[] matrices = CodebookTensors.Contains(_checkpoint, name)
            ? CodebookTensors.Read(_checkpoint, name, out codebooks)
            : IntegerTensors.Read(_checkpoint, name);
        foreach (Codebook codebook in codebooks)
            Memory.Own(codebook);
        _bound.UnionWith(CodebookTensors.Suffixes.Concat(IntegerTensors.Suffixes).Select(suffix => name + suffix)
            .Where(_checkpoint.Contains));
        (int count, WeightMatrix first) = (matrices.Length, matrices[0]);
        return count == experts && first.Rows == rows && first.Columns == columns ? matrices
            : throw new MoeFormatException(
                _checkpoint.Folder, name, $"holds {count} matrices of [{first.Rows}, {first.Columns}], the "
                    + $"configuration asks for {experts} of [{rows}, {columns}]");
    }

    private string Bound(string name)
    {
        foreach (string part in (ReadOnlySpan<string>)["", "_blocks", "_scales", "_scale_inv", "_scale"])
        {
            if (_checkpoint.Contains(name + part))
                _bound.Add(name + part);
        }

        return name;
    }
}
