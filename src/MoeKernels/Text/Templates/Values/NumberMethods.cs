using System.Numerics;

namespace MoeKernels.Text.Templates;

/// <summary>Attributes and methods of int, bool and float.</summary>
internal static class NumberMethods
{
    public static object? Find(object owner, string name)
    {
        object number = PyNumber.TryInteger(owner, out BigInteger integer) ? integer : owner;
        return number is double value ? Float(value, name) : Integer(integer, name);
    }

    private static object? Float(double value, string name) => name switch
    {
        "real" => value,
        "imag" => 0.0,
        "is_integer" => Method(value, name, () => double.IsInteger(value)),
        "conjugate" => Method(value, name, () => value),
        "as_integer_ratio" or "hex" or "fromhex" => Unsupported(value, name),
        _ => Missing.Value,
    };

    private static object? Integer(BigInteger value, string name) => name switch
    {
        "real" or "numerator" => value,
        "imag" => BigInteger.Zero,
        "denominator" => BigInteger.One,
        "conjugate" => Method(value, name, () => value),
        "is_integer" => Method(value, name, () => true),
        "bit_length" => Method(value, name, () => new BigInteger((long)BigInteger.Abs(value).GetBitLength())),
        "bit_count" => Method(value, name, () => BitCount(BigInteger.Abs(value))),
        "as_integer_ratio" => Method(value, name, () => new PyTuple([value, BigInteger.One])),
        "to_bytes" or "from_bytes" => Unsupported(value, name),
        _ => Missing.Value,
    };

    private static BigInteger BitCount(BigInteger value) =>
        value.ToByteArray().Sum(part => BitOperations.PopCount(part));

    private static NativeFunction Method(object owner, string name, Func<object?> body) => new(
        name,
        (_, arguments) =>
        {
            arguments.Take(name, 0, 0);
            return body();
        },
        owner);

    /// <summary>A method that exists in Python, so "is defined" holds, but is not provided here.</summary>
    public static NativeFunction Unsupported(object owner, string name) => new(
        name,
        (_, _) => throw new MoeUnsupportedException($"the template method {PyValue.TypeName(owner)}.{name}"),
        owner);
}
