using MoeKernels.Formats;

namespace MoeKernels.Packed;

/// <summary>The shapes of a Switch model's expert matrices, which QMoE's files do not store: they follow from the name
/// and the configuration.</summary>
internal sealed class QmoeShapes
{
    private readonly string _path;
    private readonly int _modelWidth;
    private readonly int _hiddenWidth;

    /// <summary>Reads <c>d_model</c> and <c>d_ff</c>.</summary>
    /// <exception cref="MoeFormatException">A key is missing or not positive.</exception>
    internal QmoeShapes(ConfigReader config)
    {
        _path = config.Path;
        _modelWidth = config.Positive("d_model");
        _hiddenWidth = config.Positive("d_ff");
    }

    /// <summary>Rows and columns of <c>...wi</c> [d_ff, d_model] or <c>...wo</c> [d_model, d_ff].</summary>
    /// <exception cref="MoeFormatException">The name is neither.</exception>
    internal (int Rows, int Columns) Of(string name)
    {
        if (name.EndsWith(".wi", StringComparison.Ordinal))
            return (_hiddenWidth, _modelWidth);

        return name.EndsWith(".wo", StringComparison.Ordinal)
            ? (_modelWidth, _hiddenWidth)
            : throw new MoeFormatException(_path, Shown.Short(name), "the matrix is neither wi nor wo of an expert");
    }
}
