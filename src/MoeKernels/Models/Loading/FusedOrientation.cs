using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Loading;

/// <summary>Tells layout B (inputs before outputs) from layout C (outputs before inputs) of fused experts.</summary>
/// <remarks>
/// Both tensors of a layer are written by one program and so lie the same way. With I the expert's width, gate_up
/// cannot tell when 2 I is the hidden size and down when I is: never both. Where they contradict each other nothing is
/// guessed.
/// </remarks>
internal static class FusedOrientation
{
    /// <summary>Whether the tensors are [experts, inputs, outputs].</summary>
    /// <exception cref="MoeFormatException">A shape is neither, or the two tensors contradict each other.</exception>
    public static bool IsTransposed(WeightBinder binder, ExpertsSpec spec, TensorName gateUp, TensorName down)
    {
        // MXFP4 blocks are there instead of a plain tensor, and always hold outputs before inputs.
        if (binder.Find(gateUp) is null)
            return false;

        bool? byGateUp = ByShape(binder.Find(gateUp), 2 * spec.Intermediate, spec.Hidden);
        bool? byDown = ByShape(binder.Find(down), spec.Hidden, spec.Intermediate);
        if (byGateUp is { } first && byDown is { } second && first != second)
        {
            throw binder.Find(down)!.Error(
                $"lies {Name(second)}, but {gateUp.First} lies {Name(first)}: the layout is ambiguous");
        }

        return byGateUp ?? byDown ?? spec.FusedIsTransposed ?? false;
    }

    /// <summary>The same for the shapes of plain tensors that are known to fit the configuration.</summary>
    public static bool IsTransposed(ExpertsSpec spec, IReadOnlyList<long> gateUp, IReadOnlyList<long> down) =>
        ByShape(gateUp, 2 * spec.Intermediate, spec.Hidden) ?? ByShape(down, spec.Hidden, spec.Intermediate)
            ?? spec.FusedIsTransposed ?? false;

    /// <summary>Null when the shape cannot tell.</summary>
    private static bool? ByShape(IReadOnlyList<long> shape, int outputs, int inputs)
    {
        bool transposed = Is(shape, inputs, outputs);
        return Is(shape, outputs, inputs) == transposed ? null : transposed;
    }

    private static bool Is(IReadOnlyList<long> shape, int rows, int columns) =>
        shape is [_, var r, var c] && r == rows && c == columns;

    private static bool? ByShape(Tensor? tensor, int outputs, int inputs)
    {
        if (tensor is null)
            return null;

        if (!Is(tensor.Shape, outputs, inputs) && !Is(tensor.Shape, inputs, outputs))
        {
            throw tensor.Error(
                $"has the shape [{string.Join(", ", tensor.Shape)}], the configuration asks for "
                + $"[experts, {outputs}, {inputs}] or [experts, {inputs}, {outputs}]");
        }

        return ByShape(tensor.Shape, outputs, inputs);
    }

    private static string Name(bool transposed) =>
        transposed ? "[experts, inputs, outputs]" : "[experts, outputs, inputs]";
}
