using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>What the experts of a layer, or one dense network, saw of the calibration text, in the compressed model so
/// far and in the dense one.</summary>
internal sealed record NetworkCalibration
{
    /// <summary>The dense matrices.</summary>
    public required ExpertMatrices Dense { get; init; }

    /// <summary>Inputs in the compressed model, [tokens × hidden].</summary>
    public required TokenRows Inputs { get; init; }

    /// <summary>Inputs in the dense model, [tokens × hidden].</summary>
    public required TokenRows DenseInputs { get; init; }

    /// <summary>Which tokens each expert gets in the compressed model.</summary>
    public required ExpertTokens Tokens { get; init; }

    /// <summary>Residual stream of the compressed model before the layer, [tokens × hidden]: what it lacks is given to
    /// the down projections.</summary>
    public required TokenRows Stream { get; init; }

    /// <summary>Residual stream of the dense model before the layer, [tokens × hidden].</summary>
    public required TokenRows DenseStream { get; init; }

    /// <summary>Whether the matrices themselves are wanted, whatever the streams are: for measuring one cell at a
    /// time.</summary>
    public bool PlainTargets { get; init; }

    /// <summary>Whether every token counts alike, whatever its routing weight.</summary>
    public bool EqualTokens { get; init; }

    /// <summary>Whether routing weights multiply the inputs rather than the outputs.</summary>
    public bool WeightsInputs { get; init; }
}
