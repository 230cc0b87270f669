using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>A method: codes the experts of one layer.</summary>
internal interface IExpertCoder
{
    /// <summary>Codes all matrices of a layer's experts.</summary>
    /// <param name="moe">The layer.</param>
    /// <param name="network">What the calibration text says about it.</param>
    /// <param name="tensors">Receives what is stored.</param>
    /// <returns>What the report says about the layer.</returns>
    LayerFile Code(MoeSpec moe, NetworkCalibration network, LayerTensors tensors);
}
