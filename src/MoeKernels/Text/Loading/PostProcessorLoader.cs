using MoeKernels.Text.PostProcessors;

namespace MoeKernels.Text.Loading;

/// <summary>Reads <c>post_processor</c>.</summary>
internal static class PostProcessorLoader
{
    /// <exception cref="MoeUnsupportedException">A step is not one of the format's.</exception>
    public static IPostProcessor? Load(Section section) => section.IsNull ? null : LoadStep(section, 0);

    private static IPostProcessor LoadStep(Section section, int depth)
    {
        if (depth > 32)
            throw section.Error("is nested too deeply");
        return section.Type switch
        {
            "Sequence" => new PostProcessorSequence(
                [.. section.Required("processors").Items().Select(s => LoadStep(s, depth + 1))]),
            "ByteLevel" => new ByteLevelPostProcessor(
                section.Bool("add_prefix_space", true), section.Bool("trim_offsets", true)),
            "TemplateProcessing" => LoadTemplate(section),
            "BertProcessing" => new ClassicProcessing(
                LoadToken(section.Required("cls")), LoadToken(section.Required("sep")), false, false, false),
            "RobertaProcessing" => new ClassicProcessing(
                LoadToken(section.Required("cls")),
                LoadToken(section.Required("sep")),
                true,
                section.Bool("trim_offsets", true),
                section.Bool("add_prefix_space", true)),
            var type => throw new MoeUnsupportedException($"post-processor {type}", section.Where),
        };
    }

    // A pair of text and id.
    private static (int Id, string Text) LoadToken(Section section)
    {
        var parts = section.Items().ToList();
        return parts.Count == 2 ? (parts[1].AsInt(), parts[0].AsText()) : throw section.Error("is not a token and id");
    }

    // Every token that a template names must be defined; the reference finds that out only when it is used.
    private static TemplateProcessing LoadTemplate(Section section)
    {
        var tokens = new Dictionary<string, List<(int Id, string Text)>>();
        foreach (var (name, token) in section["special_tokens"].IsNull ? [] : section["special_tokens"].Members())
        {
            var texts = token.Required("tokens").Items().Select(t => t.AsText());
            var ids = token.Required("ids").Items().Select(i => i.AsInt()).ToList();
            tokens[name] = [.. ids.Zip(texts)];
            if (tokens[name].Count != ids.Count)
                throw token.Error("has more ids than tokens");
        }

        var single = LoadParts(section.Required("single"), tokens, 0);
        return new TemplateProcessing(single, LoadParts(section.Required("pair"), tokens, 1));
    }

    // lastSequence is 0 for the template of one text, which cannot name a second.
    private static List<TemplatePart> LoadParts(
        Section section, Dictionary<string, List<(int Id, string Text)>> tokens, int lastSequence)
    {
        var parts = new List<TemplatePart>();
        foreach (var item in section.Items())
        {
            if (item["Sequence"] is { IsNull: false } sequence)
            {
                var index = sequence.Required("id").AsText() switch { "A" => 0, "B" => 1, _ => int.MaxValue };
                if (index > lastSequence)
                    throw sequence.Error("names a text that this template does not have");
                parts.Add(new TemplatePart(index, sequence.Required("type_id").AsInt(), []));
                continue;
            }

            var special = item.Required("SpecialToken");
            var id = special.Required("id");
            if (!tokens.TryGetValue(id.AsText(), out var added))
                throw id.Error("is not among special_tokens");
            parts.Add(new TemplatePart(-1, special.Required("type_id").AsInt(), added));
        }

        return parts;
    }
}
