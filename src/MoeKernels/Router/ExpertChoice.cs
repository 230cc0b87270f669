namespace MoeKernels.Router;

/// <summary>Chooses the best experts of a token from its scores.</summary>
internal static unsafe class ExpertChoice
{
    /// <summary>Writes the chosen ids in the order that <see cref="TopKSelection"/> promises.</summary>
    /// <param name="spec">A valid specification.</param>
    /// <param name="scores">[E].</param>
    /// <param name="choiceBias">[E], or null.</param>
    /// <param name="ids">Receives [k].</param>
    /// <param name="best">Receives the choice values, [k].</param>
    /// <param name="scratch">E + 3 G floats.</param>
    public static void Choose(
        RouterSpec spec, float* scores, float* choiceBias, int* ids, float* best, float* scratch)
    {
        float* choice = scores;
        bool keepsGroups = spec.Grouping is GroupRule.KeepByMax or GroupRule.KeepByTopTwoSum;
        if (choiceBias != null || keepsGroups)
        {
            choice = scratch;
            for (int e = 0; e < spec.Experts; e++)
                choice[e] = choiceBias == null ? scores[e] : scores[e] + choiceBias[e];
        }

        if (keepsGroups)
            MaskGroups(spec, choice, scratch + spec.Experts);
        if (spec.Grouping != GroupRule.SamePerGroup)
        {
            TopK(choice, 0, spec.Experts, spec.TopK, ids, best);
            return;
        }

        int each = spec.TopK / spec.Groups;
        for (int g = 0; g < spec.Groups; g++)
            TopK(choice, g * spec.GroupSize, spec.GroupSize, each, ids + (g * each), best + (g * each));
    }

    /// <summary>The k greatest of the <paramref name="count"/> values from <paramref name="first"/>, greatest first, equal ones by
    /// index.</summary>
    /// <remarks>One pass with insertion: k is small, and most values stop at the first comparison. Every id it writes is
    /// valid whatever the values are, NaN included.</remarks>
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
    private static void MaskGroups(RouterSpec spec, float* choice, float* scratch)
    {
        float* groupValues = scratch;
        float* best = scratch + spec.Groups;
        int* kept = (int*)(scratch + (2 * spec.Groups));
        int size = spec.GroupSize;
        for (int g = 0; g < spec.Groups; g++)
            groupValues[g] = GroupValue(spec.Grouping, choice + (g * size), size);

        TopK(groupValues, 0, spec.Groups, spec.KeptGroups, kept, best);
        var keptGroups = new ReadOnlySpan<int>(kept, spec.KeptGroups);
        for (int g = 0; g < spec.Groups; g++)
        {
            if (!keptGroups.Contains(g))
                new Span<float>(choice + (g * size), size).Fill(spec.MaskedChoice);
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
