namespace MoeKernels.Router;

/// <summary>Turns the chosen experts' scores [k] into routing weights [k], in place.</summary>
internal static unsafe class RoutingWeights
{
    private const float AddedEpsilon = 1e-20f;

    /// <summary>2⁻²³, the machine epsilon of single precision.</summary>
    private const float LeastSum = 1.1920929e-7f;

    /// <summary>Normalises and scales all k weights.</summary>
    public static void Weigh(in RowRules rules, float* expertScale, int* ids, float* weights)
    {
        Normalize(rules.Normalize, weights, rules.TopK);
        for (int j = 0; j < rules.TopK; j++)
        {
            weights[j] *= rules.Scale;
            if (expertScale != null && ids[j] >= 0)
                weights[j] *= expertScale[ids[j]];
        }
    }

    /// <summary>As <see cref="Weigh"/>, with dropped choices (id -1) counted as a score of 0.</summary>
    public static void WeighSurvivors(in RowRules rules, float* expertScale, int* ids, float* weights)
    {
        for (int j = 0; j < rules.TopK; j++)
        {
            if (ids[j] < 0)
                weights[j] = 0f;
        }

        Weigh(rules, expertScale, ids, weights);
    }

    private static void Normalize(NormRule rule, float* weights, int count)
    {
        switch (rule)
        {
            case NormRule.Sum:
                Divide(weights, count, Sum(weights, count));
                break;
            case NormRule.SumPlusEpsilon:
                Divide(weights, count, Sum(weights, count) + AddedEpsilon);
                break;
            case NormRule.SumAtLeastEpsilon:
                float sum = Sum(weights, count);
                Divide(weights, count, sum > LeastSum ? sum : LeastSum);
                break;
            case NormRule.SoftmaxOfChosen:
                RouterScores.Softmax(weights, weights, count);
                break;
            case NormRule.SigmoidOfChosen:
                for (int j = 0; j < count; j++)
                    weights[j] = DeterministicMath.Sigmoid(weights[j]);
                break;
        }
    }

    private static float Sum(float* weights, int count)
    {
        float sum = 0f;
        for (int j = 0; j < count; j++)
            sum += weights[j];
        return sum;
    }

    private static void Divide(float* weights, int count, float divisor)
    {
        for (int j = 0; j < count; j++)
            weights[j] /= divisor;
    }
}
