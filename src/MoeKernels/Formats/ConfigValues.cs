using System.Text.Json;

namespace MoeKernels.Formats;

/// <content>
/// Scalars and arrays. <c>X(keys)</c> demands the key, <c>XOr(value, keys)</c> has a default, <c>OptionalX(keys)</c>
/// answers null.
/// </content>
internal sealed partial class ConfigReader
{
    /// <summary>A 64-bit integer; 1e6 and 4.0 are integers too.</summary>
    internal long? OptionalLong(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind == JsonValueKind.Undefined ? null : ToLong(key, value);
    }

    /// <inheritdoc cref="OptionalLong"/>
    internal long Long(params ReadOnlySpan<string> keys) => OptionalLong(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalLong"/>
    internal long LongOr(long otherwise, params ReadOnlySpan<string> keys) => OptionalLong(keys) ?? otherwise;

    /// <summary>A 32-bit integer.</summary>
    internal int? OptionalInt(params ReadOnlySpan<string> keys) => InRange(int.MinValue, int.MaxValue, keys);

    /// <inheritdoc cref="OptionalInt"/>
    internal int Int(params ReadOnlySpan<string> keys) => OptionalInt(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalInt"/>
    internal int IntOr(int otherwise, params ReadOnlySpan<string> keys) => OptionalInt(keys) ?? otherwise;

    /// <summary>An extent or count: an integer from 1 to 2^31 - 1.</summary>
    internal int Positive(params ReadOnlySpan<string> keys) => InRange(1, int.MaxValue, keys) ?? throw Missing(keys);

    /// <inheritdoc cref="Positive"/>
    internal int PositiveOr(int otherwise, params ReadOnlySpan<string> keys) =>
        InRange(1, int.MaxValue, keys) ?? otherwise;

    /// <inheritdoc cref="Positive"/>
    internal int? OptionalPositive(params ReadOnlySpan<string> keys) => InRange(1, int.MaxValue, keys);

    /// <summary>An integer between two limits, both included; null where the key is absent.</summary>
    internal int? InRange(int lowest, int highest, params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        if (value.ValueKind == JsonValueKind.Undefined)
            return null;

        long number = ToLong(key, value);
        return number >= lowest && number <= highest
            ? (int)number
            : throw Error(key, $"{number} is not between {lowest} and {highest}");
    }

    /// <summary>A finite number in double precision.</summary>
    internal double? OptionalDouble(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind == JsonValueKind.Undefined ? null : ToDouble(key, value);
    }

    /// <inheritdoc cref="OptionalDouble"/>
    internal double Double(params ReadOnlySpan<string> keys) => OptionalDouble(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalDouble"/>
    internal double DoubleOr(double otherwise, params ReadOnlySpan<string> keys) => OptionalDouble(keys) ?? otherwise;

    /// <summary>A number that is finite in single precision.</summary>
    internal float? OptionalFloat(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        if (value.ValueKind == JsonValueKind.Undefined)
            return null;

        float single = (float)ToDouble(key, value);
        return float.IsFinite(single) ? single : throw WrongKind(key, value, "a number below 3.4e38");
    }

    /// <inheritdoc cref="OptionalFloat"/>
    internal float Float(params ReadOnlySpan<string> keys) => OptionalFloat(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalFloat"/>
    internal float FloatOr(float otherwise, params ReadOnlySpan<string> keys) => OptionalFloat(keys) ?? otherwise;

    /// <summary>true or false.</summary>
    internal bool? OptionalBool(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind switch
        {
            JsonValueKind.Undefined => null,
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw WrongKind(key, value, "true or false"),
        };
    }

    /// <inheritdoc cref="OptionalBool"/>
    internal bool Bool(params ReadOnlySpan<string> keys) => OptionalBool(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalBool"/>
    internal bool BoolOr(bool otherwise, params ReadOnlySpan<string> keys) => OptionalBool(keys) ?? otherwise;

    /// <summary>A switch that some configurations write as a number, where 0 means false.</summary>
    internal bool FlagOr(bool otherwise, params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind == JsonValueKind.Number ? ToDouble(key, value) != 0 : BoolOr(otherwise, keys);
    }

    /// <summary>A string.</summary>
    internal string? OptionalString(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind == JsonValueKind.Undefined ? null : ToText(key, value);
    }

    /// <inheritdoc cref="OptionalString"/>
    internal string String(params ReadOnlySpan<string> keys) => OptionalString(keys) ?? throw Missing(keys);

    /// <inheritdoc cref="OptionalString"/>
    internal string StringOr(string otherwise, params ReadOnlySpan<string> keys) => OptionalString(keys) ?? otherwise;

    /// <summary>An array of 32-bit integers.</summary>
    internal int[]? OptionalIntArray(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return Items(value, key)?.Select((item, i) => ToInt($"{key}[{i}]", item)).ToArray();
    }

    /// <summary>One 32-bit integer or an array of them, as <c>eos_token_id</c> is written.</summary>
    internal int[]? OptionalIntOrArray(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return value.ValueKind == JsonValueKind.Number ? [ToInt(key, value)] : OptionalIntArray(keys);
    }

    /// <inheritdoc cref="OptionalIntArray"/>
    internal int[] IntArray(params ReadOnlySpan<string> keys) => OptionalIntArray(keys) ?? throw Missing(keys);

    /// <summary>An array of finite numbers.</summary>
    internal double[]? OptionalDoubleArray(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return Items(value, key)?.Select((item, i) => ToDouble($"{key}[{i}]", item)).ToArray();
    }

    /// <inheritdoc cref="OptionalDoubleArray"/>
    internal double[] DoubleArray(params ReadOnlySpan<string> keys) => OptionalDoubleArray(keys) ?? throw Missing(keys);

    /// <summary>An array of strings.</summary>
    internal string[]? OptionalStringArray(params ReadOnlySpan<string> keys)
    {
        JsonElement value = Find(keys, out string key);
        return Items(value, key)?.Select((item, i) => ToText($"{key}[{i}]", item)).ToArray();
    }

    /// <inheritdoc cref="OptionalStringArray"/>
    internal string[] StringArray(params ReadOnlySpan<string> keys) => OptionalStringArray(keys) ?? throw Missing(keys);

    private int ToInt(string key, JsonElement value)
    {
        long number = ToLong(key, value);
        return number is >= int.MinValue and <= int.MaxValue
            ? (int)number
            : throw Error(key, $"{number} does not fit 32 bits");
    }

    private long ToLong(string key, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
        {
            if (value.TryGetInt64(out long integer))
                return integer;

            // Up to 2^53 every whole double is exactly the number that was written.
            double number = ToDouble(key, value);
            if (Math.Abs(number) <= 1L << 53 && Math.Truncate(number) == number)
                return (long)number;
        }

        throw WrongKind(key, value, "an integer");
    }

    private double ToDouble(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && double.IsFinite(number)
            ? number
            : throw WrongKind(key, value, "a finite number");

    private string ToText(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.String ? value.GetString()! : throw WrongKind(key, value, "a string");
}
