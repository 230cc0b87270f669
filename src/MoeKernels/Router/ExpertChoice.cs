namespace MoeKernels.Router;

/// <summary>Chooses the best experts of a token from its scores.</summary>
internal static unsafe class ExpertChoice
{
    /// <summary>Writes the chosen ids in the order that <see cref="TopKSelection"/> promises.</summary>
    /// <param name="rules">The router.</param>
    /// <param name="scores">[E].</param>
    /// <param name="choiceBias">[E], or null.</param>
    /// <param name="ids">Receives [k].</param>
    /// <param name="best">Receives the choice values, [k].</param>
    /// <param name="scratch">E + 3 G floats.</param>
    public static void Choose(
        in RowRules rules, float* scores, float* choiceBias, int* ids, float* best, float* scratch)
    {
        float* choice = scores;
        bool keepsGroups = rules.Grouping is GroupRule.KeepByMax or GroupRule.KeepByTopTwoSum;
        if (choiceBias != null || keepsGroups)
        {
            choice = scratch;
            for (int e = 0; e < rules.Experts; e++)
                choice[e] = choiceBias == null ? scores[e] : scores[e] + choiceBias[e];
        }

        if (keepsGroups)
            MaskGroups(rules, choice, scratch + rules.Experts);
        if (rules.Grouping != GroupRule.SamePerGroup)
        {
            TopK(choice, 0, rules.Experts, rules.TopK, ids, best);
            return;
        }

        int each = rules.TopK / rules.Groups;
        for (int g = 0; g < rules.Groups; g++)
            TopK(choice, g * rules.GroupSize, rules.GroupSize, each, ids + (g * each), best + (g * each));
    }

    /// <summary>The k greatest of the <paramref name="count"/> values from <paramref name="first"/>, greatest first,
    /// equal ones by index.</summary>
    /// <remarks>One pass with insertion: k is small, and most values stop at the first comparison. Every id it writes
    /// is valid whatever the values are, NaN included.</remarks>
    public static void TopK(float* values, int first, int count, int k, int* ids, float* best)
    {
        int found = 0;
        for (int i = first; i < first + count; i++)
        {
            float value = values[i];
            if (found == k && !(value > best[k - 1]))
                continue;

            int place = found < k ? found++ : k - 1;
            for (; place > 0 && value > best[place - 1]; place--)
            {
                best[place] = best[place - 1];
                ids[place] = ids[place - 1];
            }

            best[place] = value;
            ids[place] = i;
        }
    }

    /// <summary>Sets the choice values outside the kept groups to <see cref="RouterSpec.MaskedChoice"/>.</summary>
    private static void MaskGroups(in RowRules rules, float* choice, float* scratch)
    {
        float* groupValues = scratch;
        float* best = scratch + rules.Groups;
        int* kept = (int*)(scratch + (2 * rules.Groups));
        int size = rules.GroupSize;
        for (int g = 0; g < rules.Groups; g++)
            groupValues[g] = GroupValue(rules.Grouping, choice + (g * size), size);

        TopK(groupValues, 0, rules.Groups, rules.KeptGroups, kept, best);
        var keptGroups = new ReadOnlySpan<int>(kept, rules.KeptGroups);
        for (int g = 0; g < rules.Groups; g++)
        {
            if (!keptGroups.Contains(g))
                new Span<float>(choice + (g * size), size).Fill(rules.MaskedChoice);
        }
    }

    private static float GroupValue(GroupRule rule, float* choice, int size)
    {
        float first = choice[0];
        float second = float.NegativeInfinity;
        for (int i = 1; i < size; i++)
        {
            if (choice[i] > first)
                (first, second) = (choice[i], first);
            else if (choice[i] > second)
                second = choice[i];
        }

        return rule == GroupRule.KeepByTopTwoSum && size > 1 ? first + second : first;
    }
}
