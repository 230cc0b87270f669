using System.Runtime.CompilerServices;

namespace MoeKernels.Text.Templates;

/// <summary>
/// What one rendering may spend. Values share structure (a list may hold the same list twice, many levels deep), so
/// even printing or comparing can take exponential time; everything that walks or makes values pays here. The budget
/// belongs to the thread while it renders, because comparers and formatters have no other way to reach it.
/// </summary>
internal sealed class Budget(TemplateLimits limits)
{
    // What an element of a list costs beside a character: a reference and its share of small objects.
    private const int ItemCost = 32;

    [ThreadStatic]
    private static Budget? t_current;

    private long _steps = limits.MaxSteps;
    private long _characters = limits.MaxCharacters;
    private int _calls = limits.MaxCallDepth;

    /// <summary>Makes this the budget of the current thread; returns the one to restore.</summary>
    public static Budget? Swap(Budget? budget)
    {
        Budget? before = t_current;
        t_current = budget;
        return before;
    }

    /// <summary>One step of work, and a check that the thread's stack allows going deeper.</summary>
    public static void Enter()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new PyError("RecursionError", "maximum recursion depth exceeded");
        ChargeSteps(1);
    }

    public static void ChargeSteps(long count)
    {
        if (t_current is { } budget && (budget._steps -= count) < 0)
            throw Exceeded("too much work");
    }

    /// <summary>Pays for <paramref name="count"/> characters before they are made.</summary>
    public static void ChargeText(long count)
    {
        if (t_current is { } budget && (budget._characters -= count) < 0)
            throw Exceeded("too much text");
    }

    /// <summary>Pays for a container of <paramref name="count"/> elements before it is made.</summary>
    public static void ChargeItems(long count)
    {
        ChargeSteps(count);
        ChargeText(count > long.MaxValue / ItemCost ? long.MaxValue : count * ItemCost);
    }

    public static void EnterCall()
    {
        Enter();
        if (t_current is { } budget && --budget._calls < 0)
            throw new PyError("RecursionError", "maximum recursion depth exceeded");
    }

    public static void LeaveCall()
    {
        if (t_current is { } budget)
            budget._calls++;
    }

    private static PyError Exceeded(string what) => new("LimitError", $"the template makes {what}");
}
