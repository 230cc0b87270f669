using System.Text.Json.Nodes;
using static MoeKernels.Tests.Models.EncoderDecoder.ReferenceMath;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>NLLB-MoE in double precision, positions unrounded.</summary>
internal sealed class ReferenceNllb(JsonObject config, Func<string, double[][]> matrix) : ReferenceModel(config, matrix)
{
    private bool Tied => Flag("tie_word_embeddings", true);

    protected override int Layers(string side) => Int($"{side}_layers");

    protected override int Heads(string side) => Int($"{side}_attention_heads");

    protected override double AttentionScale(string side) => 1 / Math.Sqrt((double)Int("d_model") / Heads(side));

    protected override double[][] Embed(string side, int[][] ids)
    {
        double[][] table = Matrix(Tied ? "model.shared.weight" : $"model.{side}.embed_tokens.weight");
        double scale = Flag("scale_embedding", true) ? Math.Sqrt(Int("d_model")) : 1;
        int pad = Int("pad_token_id");
        return [.. ids.SelectMany(row =>
        {
            int seen = 0;
            return row.Select(id =>
            {
                double[] position = id == pad ? new double[Int("d_model")] : Position(pad + ++seen);
                return table[id].Select((v, i) => (v * scale) + position[i]).ToArray();
            }).ToArray();
        })];
    }

    protected override double[][] Norm(string side, int layer, int sublayer, double[][] x)
    {
        string[] names = ["self_attn_layer_norm", "cross_attention_layer_norm", "ff_layer_norm"];
        string name = layer < 0 ? $"model.{side}.layer_norm" : $"model.{side}.layers.{layer}.{names[sublayer]}";
        return LayerNorm(x, Vector($"{name}.weight"), Vector($"{name}.bias"), 1e-5);
    }

    protected override double[][] Project(string side, int layer, int sublayer, char which, double[][] x)
    {
        string module = $"model.{side}.layers.{layer}.{(sublayer == 0 ? "self_attn" : "cross_attention")}."
            + (which == 'o' ? "out_proj" : $"{which}_proj");
        return Linear(x, Matrix($"{module}.weight"), Vector($"{module}.bias"));
    }

    protected override double Bias(string side, int head, int query, int key) => 0;

    protected override double[][] Network(string side, int layer, double[][] x, int length, int[][]? mask)
    {
        string ffn = $"model.{side}.layers.{layer}.ffn";
        int step = Int($"{side}_sparse_step");
        if (step == 0 || (layer + 1) % step != 0)
            return Expert(ffn, x);

        double[]? routerBias = Flag("router_bias", false) ? Vector($"{ffn}.router.classifier.bias") : null;
        double[][] p = [.. Linear(x, Matrix($"{ffn}.router.classifier.weight"), routerBias).Select(Softmax)];
        (int Expert, double Weight)[][] chosen = Route(p, mask?.SelectMany(row => row).ToArray());
        double factor = 1 - (double)Config["moe_token_dropout"]!;
        return [.. x.Select((row, t) =>
        {
            double[] y = new double[row.Length];
            foreach (var (expert, weight) in chosen[t])
            {
                double[] output = Expert($"{ffn}.experts.expert_{expert}", [row])[0];
                y = [.. y.Zip(output, (a, b) => a + (b * weight * factor))];
            }

            return y;
        })];
    }

    protected override double[][] Head(double[][] x) =>
        Linear(x, Matrix(Tied ? "model.shared.weight" : "lm_head.weight"));

    /// <summary>First choices take their places before second ones; what finds none weighs nothing.</summary>
    private (int Expert, double Weight)[][] Route(double[][] p, int[]? mask)
    {
        int tokens = p.Length;
        int capacity = (int)Math.Ceiling((double)Config["moe_eval_capacity_token_fraction"]! * tokens);
        bool before = Flag("normalize_router_prob_before_dropping", false);
        IEnumerable<int> order = Enumerable.Range(0, tokens);
        if (Flag("batch_prioritized_routing", false))
            order = order.OrderByDescending(t => p[t].Max());
        int[] experts = [.. Enumerable.Range(0, p[0].Length)];
        int[][] best = [.. p.Select(row => experts.OrderByDescending(e => row[e]).Take(2).ToArray())];
        bool[,] kept = new bool[tokens, 2];
        int[] used = new int[p[0].Length];
        for (int choice = 0; choice < 2; choice++)
        {
            foreach (int t in order.Where(t => mask is null || mask[t] == 1))
                kept[t, choice] = used[best[t][choice]]++ < capacity;
        }

        return [.. Enumerable.Range(0, tokens).Select(t =>
        {
            double sum = Enumerable.Range(0, 2).Sum(c => before || kept[t, c] ? p[t][best[t][c]] : 0);
            return Enumerable.Range(0, 2).Where(c => kept[t, c])
                .Select(c => (best[t][c], p[t][best[t][c]] / sum)).ToArray();
        })];
    }

    private double[][] Expert(string module, double[][] x)
    {
        Func<double, double> act = (string)Config["activation_function"]! switch
        {
            "relu" => v => Math.Max(v, 0),
            "gelu" => Gelu,
            "silu" => Silu,
            string other => throw new ArgumentException(other),
        };
        double[][] hidden = Linear(x, Matrix($"{module}.fc1.weight"), Vector($"{module}.fc1.bias"));
        return Linear(
            [.. hidden.Select(row => row.Select(act).ToArray())],
            Matrix($"{module}.fc2.weight"), Vector($"{module}.fc2.bias"));
    }

    private double[] Position(int index)
    {
        int half = Int("d_model") / 2;
        double[] position = new double[Int("d_model")];
        for (int i = 0; i < half; i++)
        {
            double angle = index * Math.Pow(10000, -i / (half - 1.0));
            (position[i], position[half + i]) = (Math.Sin(angle), Math.Cos(angle));
        }

        return position;
    }
}
