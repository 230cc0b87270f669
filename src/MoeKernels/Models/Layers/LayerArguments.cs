using MoeKernels.Experts;
using MoeKernels.Router;

namespace MoeKernels.Models.Layers;

/// <summary>The argument checks that the public layers share.</summary>
internal static class LayerArguments
{
    /// <summary>Compares experts with the sizes they are meant for.</summary>
    public static void CheckExperts(MoeLayerSpec spec, ExpertWeights experts, ExpertWeights? shared)
    {
        CheckExperts("experts", experts, spec.Router.Experts, spec.Hidden, spec.Intermediate, spec.Activation);
        if (shared is null != (spec.SharedIntermediate == 0))
            throw new ArgumentException("The shared expert is given without being specified, or the reverse.");
        if (shared is not null)
            CheckExperts("shared expert", shared, 1, spec.Hidden, spec.SharedIntermediate, spec.Activation);
    }

    /// <summary>Checks input and output of a layer.</summary>
    public static void CheckRows(
        ReadOnlySpan<float> input, ReadOnlySpan<float> output, int tokens, int inputs, int outputs)
    {
        CheckRows(input, tokens, inputs, nameof(input));
        CheckRows(output, tokens, outputs, nameof(output));
        if (input.Overlaps(output))
            throw new ArgumentException("Input and output overlap.");
    }

    /// <summary>Checks that a span holds at least [tokens, width].</summary>
    public static void CheckRows<T>(ReadOnlySpan<T> rows, int tokens, int width, string name)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(tokens);
        if (rows.Length < (long)tokens * width)
            throw new ArgumentException($"[{tokens}, {width}] elements are needed, {rows.Length} are there.", name);
    }

    /// <summary>Checks ids and weights that somebody else decided.</summary>
    public static void CheckRouting(Routing routing, int tokens, RouterSpec router)
    {
        CheckRows(routing.ExpertIds, tokens, router.TopK, nameof(routing));
        CheckRows(routing.Weights, tokens, router.TopK, nameof(routing));
        foreach (int id in routing.ExpertIds[..(tokens * router.TopK)])
        {
            if (id < -1 || id >= router.Experts)
                throw new ArgumentException($"Expert id {id} is not in -1..{router.Experts - 1}.", nameof(routing));
        }
    }

    private static void CheckExperts(
        string what, ExpertWeights weights, int experts, int hidden, int intermediate, Activation activation)
    {
        if (weights.Experts != experts || weights.Hidden != hidden || weights.Intermediate != intermediate
            || weights.Matrices.Activation != activation)
        {
            throw new ArgumentException(
                $"The {what} are {weights.Experts} of {weights.Hidden} x {weights.Intermediate}, "
                + $"{weights.Matrices.Activation}; the layer needs {experts} of {hidden} x {intermediate}, "
                + $"{activation}.");
        }
    }
}
