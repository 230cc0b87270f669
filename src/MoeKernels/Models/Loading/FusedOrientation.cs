using MoeKernels.Formats;
using MoeKernels.Models.Description;

namespace MoeKernels.Models.Loading;

/// <summary>Tells layout B (inputs before outputs) from layout C (outputs before inputs) of fused experts.</summary>
/// <remarks>
/// Both tensors of a layer are written by one program and so lie the same way. With I the expert's width, gate_up
/// cannot
/// tell when 2 I is the hidden size and down when I is: never both. Where they contradict each other nothing is
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

    /// <summary>Null when the shape cannot tell.</summary>
    private static bool? ByShape(Tensor? tensor, int outputs, int inputs)
    {
        if (tensor is null)
            return null;

        bool straight = tensor.Shape is [_, var r1, var c1] && r1 == outputs && c1 == inputs;
        bool transposed = tensor.Shape is [_, var r2, var c2] && r2 == inputs && c2 == outputs;
        if (!straight && !transposed)
        {
            throw tensor.Error(
                $"has the shape [{string.Join(", ", tensor.Shape)}], the configuration asks for "
                + $"[experts, {outputs}, {inputs}] or [experts, {inputs}, {outputs}]");
        }

        return straight && transposed ? null : transposed;
    }

    private static string Name(bool transposed) =>
        transposed ? "[experts, inputs, outputs]" : "[experts, outputs, inputs]";
}
