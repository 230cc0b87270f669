using CsCheck;
using MoeKernels.Permute;

namespace MoeKernels.Tests.Permute;

public unsafe class DispatchCombineTests
{
    private static readonly Gen<(int Tokens, int TopK, int Experts, int Width, int Seed)> Cases =
        Gen.Select(Gen.Int[1, 12], Gen.Int[1, 4], Gen.Int[1, 6], Gen.Int[1, 70], Gen.Int[0, 1 << 30]);

    [Fact]
    public void Dispatch_AnyShape_HasTheBitsOfTheReference() =>
        Cases.Sample(c => With(c, (plan, data) =>
        {
            foreach (bool scaled in new[] { false, true })
            {
                float[] fast = Poisoned(plan.Slots * c.Width);
                float[] reference = Poisoned(plan.Slots * c.Width);
                fixed (float* x = data.X, weights = data.Weights, a = fast, b = reference)
                {
                    int half = plan.Slots / 2;
                    Dispatch.Rows(plan, x, c.Width, scaled ? weights : null, a, 0, half);
                    Dispatch.Rows(plan, x, c.Width, scaled ? weights : null, a, half, plan.Slots - half);
                    Dispatch.Reference(plan, x, c.Width, scaled ? weights : null, b);
                }

                Assert.Equal(reference, fast);
            }
        }));

    [Fact]
    public void Combine_AnyShape_HasTheBitsOfTheReference() =>
        Cases.Sample(c => With(c, (plan, data) =>
        {
            foreach (bool passes in new[] { false, true })
            {
                float[] fast = Poisoned(c.Tokens * c.Width);
                float[] reference = Poisoned(c.Tokens * c.Width);
                fixed (float* x = data.X, yp = data.Slots, weights = data.Weights, a = fast, b = reference)
                {
                    Combine.Rows(plan, yp, c.Width, weights, passes ? x : null, a, 0, 1);
                    Combine.Rows(plan, yp, c.Width, weights, passes ? x : null, a, 1, c.Tokens - 1);
                    Combine.Reference(plan, yp, c.Width, weights, passes ? x : null, b);
                }

                Assert.Equal(reference, fast);
            }
        }));

    [Fact]
    public void Combine_OfDispatchedRows_IsTheSumOfWeightsTimesTheRow() =>
        Cases.Sample(c => With(c, (plan, data) =>
        {
            float[] slots = Poisoned(plan.Slots * c.Width);
            float[] y = Poisoned(c.Tokens * c.Width);
            fixed (float* x = data.X, xp = slots, weights = data.Weights, result = y)
            {
                Dispatch.Rows(plan, x, c.Width, null, xp, 0, plan.Slots);
                Combine.Rows(plan, xp, c.Width, weights, null, result, 0, c.Tokens);
            }

            for (int i = 0; i < y.Length; i++)
            {
                int token = i / c.Width;
                double expected = Enumerable.Range(token * c.TopK, c.TopK)
                    .Where(choice => data.Ids[choice] >= 0).Sum(choice => (double)data.Weights[choice] * data.X[i]);
                Assert.Equal(expected, y[i], 1e-5);
            }
        }));

    [Fact]
    public void Combine_OtherOrderOfChoices_ShowsInTheBits()
    {
        // The order is part of the promise; a combine that added in slot order would pass every tolerance test.
        int[] ids = [2, 1, 0];
        float[] rows = [1e-8f, 1f, -1f];
        float[] weights = [1f, 1f, 1f];
        float result = float.NaN;
        DispatchPlanTests.WithPlan(ids, 3, 3, plan =>
        {
            float y = float.NaN;
            fixed (float* yp = rows, w = weights)
                Combine.Rows(plan, yp, 1, w, null, &y, 0, 1);
            result = y;
        });
        Assert.Equal(1e-8f, result);
    }

    private static void With(
        (int Tokens, int TopK, int Experts, int Width, int Seed) c, Action<DispatchPlan, Data> check)
    {
        int[] ids = DispatchPlanTests.RandomIds(c.Seed, c.Tokens * c.TopK, c.Experts);
        var random = new Random(c.Seed);
        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
        var data = new Data(
            ids, Values(c.Tokens * c.Width), Values(c.Tokens * c.TopK), Values(c.Tokens * c.TopK * c.Width));
        DispatchPlanTests.WithPlan(ids, c.TopK, c.Experts, plan => check(plan, data));
    }

    private static float[] Poisoned(int count)
    {
        float[] values = new float[count];
        Array.Fill(values, float.NaN);
        return values;
    }

    private sealed record Data(int[] Ids, float[] X, float[] Weights, float[] Slots);
}
