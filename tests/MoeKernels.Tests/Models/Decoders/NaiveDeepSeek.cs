using MoeKernels.Models.Description;
using MoeKernels.Tests.Models.EncoderDecoder;
using static MoeKernels.Tests.Models.Decoders.NaiveMath;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>DeepSeek-V2 and V3 as their papers write them: keys and values of every head are formed, nothing is
/// absorbed.</summary>
internal sealed class NaiveDeepSeek(RandomCheckpoint weights, MlaSpec mla, double scale)
{
    private readonly bool _v3 = (string)weights.Config["model_type"]! != "deepseek_v2";
    private readonly bool _bias = (bool?)weights.Config["attention_bias"] ?? false;

    private int Hidden => weights.Config.Int("hidden_size");

    private int Experts => weights.Config.Int("n_routed_experts");

    private int Shared => (int?)weights.Config["n_shared_experts"] ?? 0;

    private bool LowRank => weights.Config["q_lora_rank"] is not null;

    /// <summary>Fills the checkpoint with random weights of the config's shapes.</summary>
    public void AddWeights()
    {
        int vocabulary = weights.Config.Int("vocab_size"), intermediate = weights.Config.Int("moe_intermediate_size");
        weights.Matrix("model.embed_tokens.weight", vocabulary, Hidden, Math.Sqrt(Hidden));
        weights.Matrix("lm_head.weight", vocabulary, Hidden);
        weights.Vector("model.norm.weight", Hidden, 1);
        for (int layer = 0; layer < weights.Config.Int("num_hidden_layers"); layer++)
        {
            string module = $"model.layers.{layer}";
            weights.Vector($"{module}.input_layernorm.weight", Hidden, 1);
            weights.Vector($"{module}.post_attention_layernorm.weight", Hidden, 1);
            AddAttention($"{module}.self_attn");
            if (layer < weights.Config.Int("first_k_dense_replace"))
            {
                weights.AddSwiGlu($"{module}.mlp", Hidden, weights.Config.Int("intermediate_size"));
                continue;
            }

            weights.Matrix($"{module}.mlp.gate.weight", Experts, Hidden, 2);
            if (_v3)
                weights.Vector($"{module}.mlp.gate.e_score_correction_bias", Experts, 0.5);
            for (int e = 0; e < Experts; e++)
                weights.AddSwiGlu($"{module}.mlp.experts.{e}", Hidden, intermediate);
            if (Shared > 0)
                weights.AddSwiGlu($"{module}.mlp.shared_experts", Hidden, Shared * intermediate);
        }
    }

    /// <summary>Logits of every position, [T × vocabulary].</summary>
    public double[] Logits(int[] tokens)
    {
        double[][] h = [.. tokens.Select(token => weights["model.embed_tokens.weight"][token])];
        for (int layer = 0; layer < weights.Config.Int("num_hidden_layers"); layer++)
        {
            string module = $"model.layers.{layer}";
            double[][] x = Norm($"{module}.input_layernorm", h);
            h = [.. h.Zip(Attention($"{module}.self_attn", x), Add)];
            x = Norm($"{module}.post_attention_layernorm", h);
            h = [.. h.Zip(x.Select(row => FeedForward(layer, $"{module}.mlp", row)), Add)];
        }

        return [.. Norm("model.norm", h).SelectMany(row => weights.Linear("lm_head", row))];
    }

    private double[] FeedForward(int layer, string module, double[] x) =>
        layer < weights.Config.Int("first_k_dense_replace") ? weights.SwiGlu(module, x) : Moe(module, x);

    private double[][] Norm(string module, double[][] rows) =>
        [.. rows.Select(row => Rms(row, weights[$"{module}.weight"][0], (double)weights.Config["rms_norm_eps"]!))];

    private void AddAttention(string module)
    {
        int queries = mla.Heads * mla.QueryDim;
        void Add(string name, int rows, int columns, bool bias)
        {
            weights.Matrix($"{module}.{name}.weight", rows, columns);
            if (bias)
                weights.Vector($"{module}.{name}.bias", rows, 0);
        }

        if (LowRank)
        {
            int rank = weights.Config.Int("q_lora_rank");
            Add("q_a_proj", rank, Hidden, _bias);
            weights.Vector($"{module}.q_a_layernorm.weight", rank, 1);
            Add("q_b_proj", queries, rank, bias: false);
        }
        else
        {
            Add("q_proj", queries, Hidden, bias: false);
        }

        Add("kv_a_proj_with_mqa", mla.LatentDim, Hidden, _bias);
        weights.Vector($"{module}.kv_a_layernorm.weight", mla.KvRank, 1);
        Add("kv_b_proj", mla.Heads * (mla.NopeDim + mla.ValueDim), mla.KvRank, bias: false);
        Add("o_proj", Hidden, mla.Heads * mla.ValueDim, _bias);
    }

    private double[][] Attention(string module, double[][] x)
    {
        int key = mla.NopeDim, both = mla.NopeDim + mla.ValueDim;
        List<double[]>[] keys = [.. Enumerable.Range(0, mla.Heads).Select(_ => new List<double[]>())];
        List<double[]>[] values = [.. Enumerable.Range(0, mla.Heads).Select(_ => new List<double[]>())];
        double[][] results = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[] q = Queries(module, x[t]);
            double[] down = weights.Linear($"{module}.kv_a_proj_with_mqa", x[t], _bias);
            double[] latent = Rms(down[..mla.KvRank], weights[$"{module}.kv_a_layernorm.weight"][0], 1e-6);
            double[] up = weights.Linear($"{module}.kv_b_proj", latent);
            double[] shared = Rotate(down[mla.KvRank..], mla.Rope, t);
            List<double> attended = [];
            for (int head = 0; head < mla.Heads; head++)
            {
                double[] part = up[(head * both)..((head + 1) * both)];
                keys[head].Add([.. part[..key], .. shared]);
                values[head].Add(part[key..]);
                double[] query = q[(head * mla.QueryDim)..((head + 1) * mla.QueryDim)];
                query = [.. query[..key], .. Rotate(query[key..], mla.Rope, t)];
                attended.AddRange(Attend(query, keys[head], values[head], scale));
            }

            results[t] = weights.Linear($"{module}.o_proj", [.. attended], _bias);
        }

        return results;
    }

    private double[] Queries(string module, double[] x)
    {
        if (!LowRank)
            return weights.Linear($"{module}.q_proj", x);
        double[] low = weights.Linear($"{module}.q_a_proj", x, _bias);
        return weights.Linear($"{module}.q_b_proj", Rms(low, weights[$"{module}.q_a_layernorm.weight"][0], 1e-6));
    }

    private double[] Moe(string module, double[] x)
    {
        double[] logits = weights.Linear($"{module}.gate", x);
        double[] scores = _v3 ? [.. logits.Select(Sigmoid)] : Softmax(logits);
        double[] choice = _v3 ? Add(scores, weights[$"{module}.gate.e_score_correction_bias"][0]) : scores;
        int[] chosen = [.. Allowed(choice).OrderByDescending(e => choice[e])
            .Take(weights.Config.Int("num_experts_per_tok"))];
        double factor = (double)weights.Config["routed_scaling_factor"]!;
        if (_v3 && (bool)weights.Config["norm_topk_prob"]!)
            factor /= chosen.Sum(e => scores[e]);
        double[] y = Shared > 0 ? weights.SwiGlu($"{module}.shared_experts", x) : new double[x.Length];
        foreach (int e in chosen)
            y = Add(y, Scale(weights.SwiGlu($"{module}.experts.{e}", x), scores[e] * factor));
        return y;
    }

    /// <summary>Experts of the groups that stay.</summary>
    private IEnumerable<int> Allowed(double[] choice)
    {
        bool limited = _v3 || (string?)weights.Config["topk_method"] == "group_limited_greedy";
        int groups = limited ? weights.Config.Int("n_group") : 1, size = Experts / groups;
        return Enumerable.Range(0, groups)
            .OrderByDescending(g => choice[(g * size)..((g + 1) * size)].OrderDescending().Take(_v3 ? 2 : 1).Sum())
            .Take(limited ? weights.Config.Int("topk_group") : 1)
            .SelectMany(g => Enumerable.Range(g * size, size));
    }
}
