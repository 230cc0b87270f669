namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>truncation</c> and <c>padding</c>.</summary>
internal static class OptionsLoader
{
    /// <summary>Reads <c>truncation</c>; null if the file has none.</summary>
    public static TruncationOptions? LoadTruncation(Section section)
    {
        if (section.IsNull)
            return null;
        return new TruncationOptions(section.Required("max_length").AsInt())
        {
            Stride = section["stride"] is { IsNull: false } stride ? stride.AsInt() : 0,
            Direction = LoadSide(section["direction"]),
            Strategy = section.Text("strategy", "LongestFirst") switch
            {
                "LongestFirst" => TruncationStrategy.LongestFirst,
                "OnlyFirst" => TruncationStrategy.OnlyFirst,
                "OnlySecond" => TruncationStrategy.OnlySecond,
                var other => throw section["strategy"].Error($"has the unknown value '{other}'"),
            },
        };
    }

    /// <summary>Reads <c>padding</c>: strategy "BatchLongest" or {"Fixed": length}.</summary>
    public static PaddingOptions? LoadPadding(Section section)
    {
        if (section.IsNull)
            return null;
        var strategy = section["strategy"];
        return new PaddingOptions(section.Required("pad_id").AsInt(), section.Required("pad_token").AsText())
        {
            Length = strategy.IsObject ? strategy.Required("Fixed").AsInt() : null,
            Direction = LoadSide(section["direction"]),
            PadToMultipleOf = section["pad_to_multiple_of"] is { IsNull: false } multiple ? multiple.AsInt() : null,
            PadTypeId = section["pad_type_id"] is { IsNull: false } typeId ? typeId.AsInt() : 0,
        };
    }

    // The right side unless the file says otherwise.
    private static TextSide LoadSide(Section section) => (section.IsNull ? "Right" : section.AsText()) switch
    {
        "Left" => TextSide.Left,
        "Right" => TextSide.Right,
        var other => throw section.Error($"has the unknown value '{other}'"),
    };
}
