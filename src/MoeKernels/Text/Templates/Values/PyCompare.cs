using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Equality and order.</summary>
internal static class PyCompare
{
    public static bool Apply(string op, object? left, object? right) => op switch
    {
        "==" => AreEqual(left, right),
        "!=" => !AreEqual(left, right),
        "in" => PyIterate.Contains(right, left),
        "not in" => !PyIterate.Contains(right, left),
        _ => Ordered(op, left, right),
    };

    public static bool Less(object? left, object? right) => Ordered("<", left, right);

    /// <summary>How containers look for an element: the same object counts even if it is NaN.</summary>
    public static bool SameOrEqual(object? left, object? right) =>
        ReferenceEquals(left, right) || AreEqual(left, right);

    public static bool AreEqual(object? left, object? right)
    {
        if (left is null || right is null)
            return left is null && right is null;
        if (PyNumber.IsNumber(left) && PyNumber.IsNumber(right))
            return Numbers(left, right) == 0;
        if (PyValue.TryText(left, out string leftText) && PyValue.TryText(right, out string rightText))
            return SameText(leftText, rightText);
        return (left, right) switch
        {
            (PyList a, PyList b) => SequencesEqual(a.Items, b.Items),
            (PyTuple a, PyTuple b) => SequencesEqual(a.Items, b.Items),
            (PyDict a, PyDict b) => DictsEqual(a, b),
            (PyRange a, PyRange b) => RangesEqual(a, b),
            (PyDictView { Part: not DictPart.Values } a, PyDictView { Part: not DictPart.Values } b) =>
                a.Dict.Count == b.Dict.Count && a.Items().All(item => PyIterate.Contains(b, item)),
            (Undefined, Undefined) => true,
            _ => ReferenceEquals(left, right),
        };
    }

    private static bool SameText(string left, string right)
    {
        Budget.ChargeSteps(1 + (Math.Min(left.Length, right.Length) >> 4));
        return string.Equals(left, right, StringComparison.Ordinal);
    }

    public static bool SequencesEqual(object?[] left, object?[] right)
    {
        Budget.Enter();
        if (left.Length != right.Length)
            return false;
        for (int i = 0; i < left.Length; i++)
        {
            Budget.ChargeSteps(1);
            if (!SameOrEqual(left[i], right[i]))
                return false;
        }

        return true;
    }

    private static bool DictsEqual(PyDict left, PyDict right)
    {
        Budget.Enter();
        if (left.Count != right.Count)
            return false;
        foreach ((object? key, object? value) in left)
        {
            Budget.ChargeSteps(1);
            if (!right.TryGet(key, out object? other) || !SameOrEqual(value, other))
                return false;
        }

        return true;
    }

    private static bool RangesEqual(PyRange left, PyRange right) =>
        left.Length == right.Length
        && (left.Length == 0 || (left.Start == right.Start && (left.Length == 1 || left.Step == right.Step)));

    private static bool Ordered(string op, object? left, object? right)
    {
        if ((left as Undefined ?? right as Undefined) is { } undefined)
            throw undefined.Error();
        if (PyNumber.IsNumber(left) && PyNumber.IsNumber(right))
            return Holds(op, Numbers(left!, right!));
        if (PyValue.TryText(left, out string leftText) && PyValue.TryText(right, out string rightText))
            return Holds(op, PyText.Compare(leftText, rightText));
        if ((left is PyList && right is PyList) || (left is PyTuple && right is PyTuple))
            return Sequences(op, ((PySequence)left).Items, ((PySequence)right).Items);
        throw PyError.Type($"'{op}' not supported between instances of '{PyValue.TypeName(left)}'"
            + $" and '{PyValue.TypeName(right)}'");
    }

    private static bool Holds(string op, int? order) => order is int sign && op switch
    {
        "<" => sign < 0,
        "<=" => sign <= 0,
        ">" => sign > 0,
        _ => sign >= 0,
    };

    private static bool Sequences(string op, object?[] left, object?[] right)
    {
        Budget.Enter();
        for (int i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            Budget.ChargeSteps(1);
            if (!SameOrEqual(left[i], right[i]))
                return Ordered(op, left[i], right[i]);
        }

        return Holds(op, left.Length.CompareTo(right.Length));
    }

    /// <summary>Exact comparison of numbers of any two types; null if one is NaN.</summary>
    private static int? Numbers(object left, object right)
    {
        if (PyNumber.TryInteger(left, out BigInteger a))
        {
            if (PyNumber.TryInteger(right, out BigInteger b))
                return a.CompareTo(b);
            return -Mixed((double)right, a);
        }

        return right is double other ? Doubles((double)left, other) : Mixed((double)left, PyNumber.Integer(right));
    }

    private static int? Doubles(double left, double right) =>
        double.IsNaN(left) || double.IsNaN(right) ? null : left.CompareTo(right);

    private static int? Mixed(double left, BigInteger right)
    {
        if (double.IsNaN(left))
            return null;
        if (double.IsInfinity(left))
            return left > 0 ? 1 : -1;
        int whole = new BigInteger(Math.Truncate(left)).CompareTo(right);
        return whole != 0 ? whole : left.CompareTo(Math.Truncate(left));
    }
}
