using System.Text.Json;
using MoeKernels.Compression;
using MoeKernels.Tests.Packed;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Compression.Scalar;

/// <summary>One run of the authors' quantiser: inputs and what came out, see <c>tests/data/README.md</c>.</summary>
internal sealed class GptqFixture
{
    private static readonly string Tensors = RepositoryPaths.DataFile("qmoe", "gptq.safetensors");

    private readonly JsonElement _facts;

    private GptqFixture(JsonElement facts)
    {
        _facts = facts;
        Set = facts.GetProperty("set").GetString()!;
        Name = facts.GetProperty("name").GetString()!;
        float bits = facts.GetProperty("bits").GetSingle();
        Options = new ScalarOptions(bits == 1.5f ? ScalarGrid.Ternary : ScalarGrid.Uniform((int)bits))
        {
            Damping = facts.GetProperty("percdamp").GetSingle(),
            ActOrder = facts.GetProperty("actorder").GetBoolean(),
            GroupSize = facts.GetProperty("groupsize").GetInt32(),
        };
        (Experts, Rows, Columns) = Set switch { "a" => (4, 48, 96), "b" => (2, 24, 160), _ => (3, 32, 64) };
    }

    public string Name { get; }

    public string Set { get; }

    public ScalarOptions Options { get; }

    public int Experts { get; }

    public int Rows { get; }

    public int Columns { get; }

    public int CholeskyFailures => _facts.GetProperty("cholesky_failures").GetInt32();

    public bool HasOrder => Options.ActOrder && Options.GroupSize > 0;

    /// <summary>Relative output error of an expert; null without tokens.</summary>
    public float? LayerError(int expert) =>
        _facts.TryGetProperty("layer_error", out JsonElement errors)
        && errors[expert].ValueKind == JsonValueKind.Number
            ? errors[expert].GetSingle()
            : null;

    public static IEnumerable<string> Names() =>
        Cases().EnumerateArray().Select(facts => facts.GetProperty("name").GetString()!);

    public static GptqFixture Load(string name) =>
        new(Cases().EnumerateArray().Single(facts => facts.GetProperty("name").GetString() == name));

    /// <summary>A result of the case: codes, scale, zero, loss, stable or order.</summary>
    public T[] Result<T>(string what)
        where T : unmanaged => QmoeFixture.Read<T>(Tensors, $"{Name}.{what}");

    public float[] Weights(int expert) => Part(QmoeFixture.Read<float>(Tensors, $"{Set}.W"), expert, Rows * Columns);

    /// <summary>Inputs of an expert [tokens, columns]; null where the set gives Hessians.</summary>
    public float[]? Inputs(int expert)
    {
        if (Set == "c")
            return null;

        int[] tokens = QmoeFixture.Read<int>(Tensors, $"{Set}.tokens");
        ushort[] all = QmoeFixture.Read<ushort>(Tensors, $"{Set}.X");
        int first = tokens.Take(expert).Sum() * Columns;
        return Array.ConvertAll(all[first..(first + (tokens[expert] * Columns))], QmoeFixture.Widen);
    }

    /// <summary>H [columns, columns] as the authors scale it; null without tokens.</summary>
    public float[]? Hessian(int expert)
    {
        if (Inputs(expert) is not { } inputs)
            return Part(QmoeFixture.Read<float>(Tensors, "c.H"), expert, Columns * Columns);

        int tokens = inputs.Length / Columns;
        if (tokens == 0)
            return null;

        var hessian = new float[Columns * Columns];
        for (int i = 0; i < Columns; i++)
        {
            for (int j = 0; j < Columns; j++)
            {
                double sum = 0;
                for (int t = 0; t < tokens; t++)
                    sum += (double)inputs[(t * Columns) + i] * inputs[(t * Columns) + j];
                hessian[(i * Columns) + j] = (float)(sum * tokens / 2);
            }
        }

        return hessian;
    }

    private static T[] Part<T>(T[] all, int index, int length) => all[(index * length)..((index + 1) * length)];

    private static JsonElement Cases()
    {
        using var document = JsonDocument.Parse(File.ReadAllText(RepositoryPaths.DataFile("qmoe", "gptq.json")));
        return document.RootElement.Clone();
    }
}
