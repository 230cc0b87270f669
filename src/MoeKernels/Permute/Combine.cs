namespace MoeKernels.Permute;

/// <summary>Adds up what the experts made of a token:
/// <c>y[t] = Σj weight[t, j] · yp[slot_of[t, j]]</c>, ascending j, fused multiply-add from +0.</summary>
/// <remarks>A token's bits depend on its own choices only; which slots they got and who else is in the batch do not
/// show.</remarks>
internal static unsafe class Combine
{
    /// <summary>Combines the tokens from <paramref name="firstToken"/>. Tokens are independent of each other.</summary>
    /// <param name="plan">Where each choice went.</param>
    /// <param name="yp">Expert outputs, [N, width].</param>
    /// <param name="width">Elements of a row.</param>
    /// <param name="weights">[T, k]; null for ones (the routing weight went into the input).</param>
    /// <param name="dropped">[T, width], what a dropped choice gives instead of an expert's output; null for
    /// nothing.</param>
    /// <param name="y">Receives [T, width]; zeros for a token without choices.</param>
    /// <param name="firstToken">First token to combine.</param>
    /// <param name="tokens">Number of tokens to combine.</param>
    public static void Rows(
        in DispatchPlan plan,
        float* yp,
        int width,
        float* weights,
        float* dropped,
        float* y,
        int firstToken,
        int tokens)
    {
        for (int t = firstToken; t < firstToken + tokens; t++)
        {
            var sum = new Span<float>(y + ((long)t * width), width);
            sum.Clear();
            for (int j = 0; j < plan.TopK; j++)
            {
                int choice = (t * plan.TopK) + j;
                float* row = Source(plan, choice, yp, dropped, width);
                if (row != null)
                    RowMath.AddScaled(new ReadOnlySpan<float>(row, width), weights == null ? 1f : weights[choice], sum);
            }
        }
    }

    /// <summary>The definition in plain loops, for tests.</summary>
    public static void Reference(
        in DispatchPlan plan, float* yp, int width, float* weights, float* dropped, float* y)
    {
        for (int t = 0; t < plan.Tokens; t++)
        {
            for (int i = 0; i < width; i++)
            {
                float sum = 0f;
                for (int j = 0; j < plan.TopK; j++)
                {
                    int choice = (t * plan.TopK) + j;
                    float* row = Source(plan, choice, yp, dropped, width);
                    if (row != null)
                        sum = MathF.FusedMultiplyAdd(weights == null ? 1f : weights[choice], row[i], sum);
                }

                y[((long)t * width) + i] = sum;
            }
        }
    }

    private static float* Source(in DispatchPlan plan, int choice, float* yp, float* dropped, int width)
    {
        int slot = plan.SlotOf[choice];
        if (slot >= 0)
            return yp + ((long)slot * width);
        return dropped == null ? null : dropped + ((long)(choice / plan.TopK) * width);
    }
}
