namespace MoeKernels.Permute;

/// <summary>Copies token rows into expert order: <c>xp[slot] = x[token_of_slot[slot]]</c>, optionally times the routing
/// weight of the choice that fills the slot.</summary>
internal static unsafe class Dispatch
{
    /// <summary>Fills the slots from <paramref name="firstSlot"/>. Slots are independent of each other.</summary>
    /// <param name="plan">Where each slot comes from.</param>
    /// <param name="x">[T, width], row-major.</param>
    /// <param name="width">Elements of a row.</param>
    /// <param name="inputWeights">[T, k], multiplied into the rows; null to copy them.</param>
    /// <param name="xp">Receives [N, width].</param>
    /// <param name="firstSlot">First slot to fill.</param>
    /// <param name="slots">Number of slots to fill.</param>
    public static void Rows(
        in DispatchPlan plan, float* x, int width, float* inputWeights, float* xp, int firstSlot, int slots)
    {
        for (int slot = firstSlot; slot < firstSlot + slots; slot++)
        {
            var source = new ReadOnlySpan<float>(x + ((long)plan.TokenOfSlot[slot] * width), width);
            var target = new Span<float>(xp + ((long)slot * width), width);
            if (inputWeights == null)
                source.CopyTo(target);
            else
                RowMath.Scale(source, inputWeights[plan.ChoiceOfSlot[slot]], target);
        }
    }

    /// <summary>The definition in plain loops, for tests.</summary>
    public static void Reference(in DispatchPlan plan, float* x, int width, float* inputWeights, float* xp)
    {
        for (int t = 0; t < plan.Tokens; t++)
        {
            for (int j = 0; j < plan.TopK; j++)
            {
                int slot = plan.SlotOf[(t * plan.TopK) + j];
                for (int i = 0; slot >= 0 && i < width; i++)
                {
                    float weight = inputWeights == null ? 1f : inputWeights[(t * plan.TopK) + j];
                    xp[((long)slot * width) + i] = weight * x[((long)t * width) + i];
                }
            }
        }
    }
}
