using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>The tests behind <c>is</c>.</summary>
internal static class TestTable
{
    private delegate bool Test(object? value, Arguments arguments);

    private static readonly Dictionary<string, Test> Tests = new(StringComparer.Ordinal)
    {
        ["defined"] = Simple(value => value is not Undefined),
        ["undefined"] = Simple(value => value is Undefined),
        ["none"] = Simple(value => value is null),
        ["boolean"] = Simple(value => value is bool),
        ["true"] = Simple(value => value is true),
        ["false"] = Simple(value => value is false),
        ["integer"] = Simple(value => value is BigInteger),
        ["float"] = Simple(value => value is double),
        ["number"] = Simple(PyNumber.IsNumber),
        ["string"] = Simple(value => value is string or Markup),
        ["mapping"] = Simple(value => value is PyDict),
        ["sequence"] = Simple(value =>
            PyValue.TryText(value, out _) || value is PySequence or PyDict or PyRange or Undefined),
        ["iterable"] = Simple(PyIterate.IsIterable),
        ["callable"] = Simple(value => value is ICallable or Undefined),
        ["escaped"] = Simple(value => value is Markup),
        ["lower"] = Simple(value => StringMethods.IsLower(PyValue.ToText(value))),
        ["upper"] = Simple(value => StringMethods.IsUpper(PyValue.ToText(value))),
        ["odd"] = Simple(value => IsRemainder(value, new BigInteger(2), 1)),
        ["even"] = Simple(value => IsRemainder(value, new BigInteger(2), 0)),
        ["divisibleby"] = (value, arguments) => IsRemainder(value, arguments.Bind("divisibleby", 1, "num")[0], 0),
        ["filter"] = Simple(value => PyValue.TryText(value, out string name) && FilterTable.Contains(name)),
        ["test"] = Simple(value => PyValue.TryText(value, out string name) && Contains(name)),
        ["sameas"] = (value, arguments) => IsSame(value, arguments.Bind("sameas", 1, "other")[0]),
        ["in"] = (value, arguments) => PyIterate.Contains(arguments.Bind("in", 1, "seq")[0], value),
        ["=="] = Comparison("=="),
        ["eq"] = Comparison("=="),
        ["equalto"] = Comparison("=="),
        ["!="] = Comparison("!="),
        ["ne"] = Comparison("!="),
        [">"] = Comparison(">"),
        ["gt"] = Comparison(">"),
        ["greaterthan"] = Comparison(">"),
        [">="] = Comparison(">="),
        ["ge"] = Comparison(">="),
        ["<"] = Comparison("<"),
        ["lt"] = Comparison("<"),
        ["lessthan"] = Comparison("<"),
        ["<="] = Comparison("<="),
        ["le"] = Comparison("<="),
    };

    public static bool Contains(string name) => Tests.ContainsKey(name);

    public static bool Apply(string name, object? value, Arguments arguments)
    {
        Budget.Enter();
        return Tests.TryGetValue(name, out Test? test)
            ? test(value, arguments)
            : throw new PyError("TemplateRuntimeError", $"No test named {PyRepr.Of(name)} found.");
    }

    private static Test Simple(Func<object?, bool> test) => (value, arguments) =>
    {
        arguments.Bind("test", 0);
        return test(value);
    };

    private static Test Comparison(string op) =>
        (value, arguments) => PyCompare.Apply(op, value, arguments.Take(op, 1, 1)[0]);

    private static bool IsRemainder(object? value, object? divisor, int rest) =>
        PyCompare.AreEqual(PyArithmetic.Apply("%", value, divisor), new BigInteger(rest));

    /// <summary>Identity; CPython keeps one object per constant, small integer and bool.</summary>
    private static bool IsSame(object? left, object? right) => (left, right) switch
    {
        (null, null) => true,
        (bool a, bool b) => a == b,
        (string a, string b) => string.Equals(a, b, StringComparison.Ordinal),
        (BigInteger a, BigInteger b) => a == b,
        _ => ReferenceEquals(left, right),
    };
}
