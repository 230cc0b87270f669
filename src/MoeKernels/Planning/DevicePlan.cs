using MoeKernels.Models.Description;
using MoeKernels.Models.Placement;

namespace MoeKernels.Planning;

/// <summary>What of a model goes to a device, and what stays.</summary>
/// <param name="Device">The device planned for, for example <c>cuda:0</c>.</param>
/// <param name="WeightBytes">Weights on the device, in their stored width.</param>
/// <param name="StateBytes">KV caches on the device.</param>
/// <param name="HostSteps">Kinds of layers that run on the CPU: they have no kernels on the device.</param>
public sealed record DevicePlan(
    string Device, long WeightBytes, long StateBytes, IReadOnlyList<string> HostSteps)
{
    /// <summary>Adds up what goes to the device.</summary>
    internal static DevicePlan Of(
        ModelInfo info, ModelDescription model, Device device, int contextLength, int sessions)
    {
        LayerSpec[] layers = [.. ModelInspector.Layers(model)];
        LayerSpec[] placed = [.. layers.Where(layer => DeviceKernels.Missing(layer) is null)];
        double mixers = ShareOf(layers.Where(layer => layer is not (MoeSpec or FeedForwardSpec)));
        double experts = ShareOf(layers.OfType<MoeSpec>());
        long weights = info.Parts.Sum(part => part.Role switch
        {
            WeightRole.Unused => 0,
            WeightRole.Attention => (long)(mixers * part.Bytes),
            WeightRole.Router or WeightRole.RoutedExperts or WeightRole.SharedExperts => (long)(experts * part.Bytes),
            WeightRole.Embedding => info.Parts.Any(other => other.Role == WeightRole.Head) ? 0 : part.Bytes,
            _ => part.Bytes,
        });
        return new DevicePlan(
            device.ToString(), weights, sessions * placed.Sum(layer => layer.StateBytes(contextLength)),
            [.. layers.Select(DeviceKernels.Missing).OfType<string>().Distinct().Order(StringComparer.Ordinal)]);
    }

    /// <summary>The part of some sublayers that goes to the device. They count as equally large: headers name their
    /// tensors by role, not by layer.</summary>
    private static double ShareOf(IEnumerable<LayerSpec> layers) =>
        layers.Select(layer => DeviceKernels.Missing(layer) is null ? 1.0 : 0.0).DefaultIfEmpty().Average();
}
