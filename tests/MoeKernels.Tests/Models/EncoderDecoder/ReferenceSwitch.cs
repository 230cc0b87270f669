using System.Text.Json.Nodes;
using static MoeKernels.Tests.Models.EncoderDecoder.ReferenceMath;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>Switch Transformers in double precision.</summary>
internal sealed class ReferenceSwitch(JsonObject config, Func<string, double[][]> matrix)
    : ReferenceModel(config, matrix)
{
    private bool Tied => Flag("tie_word_embeddings", true);

    protected override int Layers(string side) => Int(side == "encoder" ? "num_layers" : "num_decoder_layers");

    protected override int Heads(string side) => Int("num_heads");

    protected override double AttentionScale(string side) => 1;

    protected override double[][] Embed(string side, int[][] ids)
    {
        double[][] table = Matrix(Tied ? "shared.weight" : $"{side}.embed_tokens.weight");
        return [.. ids.SelectMany(row => row).Select(id => table[id])];
    }

    protected override double[][] Norm(string side, int layer, int sublayer, double[][] x)
    {
        int index = sublayer == 2 && side == "encoder" ? 1 : sublayer;
        string name = layer < 0 ? $"{side}.final_layer_norm" : $"{side}.block.{layer}.layer.{index}.layer_norm";
        return Rms(x, Vector($"{name}.weight"), 1e-6);
    }

    protected override double[][] Project(string side, int layer, int sublayer, char which, double[][] x)
    {
        string attention = sublayer == 0 ? "SelfAttention" : "EncDecAttention";
        return Linear(x, Matrix($"{side}.block.{layer}.layer.{sublayer}.{attention}.{which}.weight"));
    }

    protected override double Bias(string side, int head, int query, int key)
    {
        double[][] table = Matrix($"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        return table[Bucket(key - query, side == "encoder")][head];
    }

    protected override double[][] Network(string side, int layer, double[][] x, int length, int[][]? mask)
    {
        string mlp = $"{side}.block.{layer}.layer.{(side == "encoder" ? 1 : 2)}.mlp";
        int step = Int($"{side}_sparse_step");
        if (step == 0 || (step > 1 && layer % step != 1))
            return Expert(mlp, x);

        double[]? routerBias = Flag("router_bias", false) ? Vector($"{mlp}.router.classifier.bias") : null;
        double[][] logits = Linear(x, Matrix($"{mlp}.router.classifier.weight"), routerBias);
        double[][] y = [.. x.Select(row => new double[row.Length])];
        for (int start = 0; start < x.Length; start += length)
        {
            int[] used = new int[Int("num_experts")];
            for (int t = start; t < start + length; t++)
            {
                double[] p = Softmax(logits[t]);
                int expert = Array.IndexOf(p, p.Max());
                if (++used[expert] <= Int("expert_capacity"))
                    y[t] = [.. Expert($"{mlp}.experts.expert_{expert}", [x[t]])[0].Select(v => v * p[expert])];
            }
        }

        return y;
    }

    protected override double[][] Head(double[][] x)
    {
        double scale = Tied ? 1 / Math.Sqrt(Int("d_model")) : 1;
        return Linear([.. x.Select(row => row.Select(v => v * scale).ToArray())],
            Matrix(Tied ? "shared.weight" : "lm_head.weight"));
    }

    private double[][] Expert(string module, double[][] x)
    {
        string name = (string)Config["dense_act_fn"]!;
        double[][] hidden;
        if (name == "gated-gelu")
        {
            double[][] gate = Linear(x, Matrix($"{module}.wi_0.weight"));
            double[][] up = Linear(x, Matrix($"{module}.wi_1.weight"));
            hidden = [.. gate.Zip(up, (g, u) => g.Zip(u, (a, b) => GeluTanh(a) * b).ToArray())];
        }
        else
        {
            Func<double, double> act = name switch
            {
                "relu" => v => Math.Max(v, 0),
                "gelu" => Gelu,
                "silu" => Silu,
                _ => throw new ArgumentException(name),
            };
            hidden = [.. Linear(x, Matrix($"{module}.wi.weight")).Select(row => row.Select(act).ToArray())];
        }

        return Linear(hidden, Matrix($"{module}.wo.weight"));
    }

    /// <summary>Buckets from their boundaries: distances below the exact half have their own, bucket i behind it starts
    /// at <c>exact * (max / exact)^(i / n)</c>.</summary>
    private int Bucket(int distance, bool bidirectional)
    {
        int buckets = Int("relative_attention_num_buckets"), max = Int("relative_attention_max_distance");
        int offset = 0;
        if (bidirectional)
        {
            buckets /= 2;
            offset = distance > 0 ? buckets : 0;
            distance = Math.Abs(distance);
        }
        else
        {
            distance = Math.Max(-distance, 0);
        }

        int exact = buckets / 2, n = buckets - exact;
        if (distance < exact)
            return offset + distance;
        int i = 0;
        while (i + 1 < n && distance >= (exact * Math.Pow((double)max / exact, (i + 1.0) / n)) - 1e-9)
            i++;
        return offset + exact + i;
    }
}
