using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace MoeKernels.Cli.Commands;

/// <summary>Options with a number in a range, which reads the same in every culture.</summary>
internal static class NumberOptions
{
    /// <summary>A whole number of at least <paramref name="min"/>; null when left out.</summary>
    public static Option<int?> Integer(string name, string description, int min, int max = int.MaxValue) => new(name)
    {
        Description = description,
        CustomParser = result => Parse(result, "whole number below 2^31", min, max),
    };

    /// <summary>A number from <paramref name="min"/> to <paramref name="max"/>; null when left out.</summary>
    public static Option<float?> Real(
        string name, string description, float min = 0, float max = float.MaxValue) =>
        new(name)
        {
            Description = description,
            CustomParser = result => Parse(result, "number", min, max),
        };

    /// <summary>Adds a shorter name.</summary>
    public static T Or<T>(this T option, string alias)
        where T : Option
    {
        option.Aliases.Add(alias);
        return option;
    }

    private static T? Parse<T>(ArgumentResult result, string kind, T min, T max)
        where T : struct, INumber<T>, IMinMaxValue<T>
    {
        string text = result.Tokens[0].Value;
        string option = ((OptionResult)result.Parent!).Option.Name;
        if (!T.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out T value) || !T.IsFinite(value))
        {
            result.AddError($"{option} takes a {kind}, not '{text}'.");
        }
        else if (value < min || value > max)
        {
            string range = max >= T.MaxValue ? $"at least {min}" : $"from {min} to {max}";
            result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option} must be {range}, not {text}."));
        }
        else
        {
            return value;
        }

        return null;
    }
}
