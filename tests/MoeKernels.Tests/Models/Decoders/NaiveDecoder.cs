using MoeKernels.Models.Description;
using MoeKernels.Tests.Models.EncoderDecoder;
using static MoeKernels.Tests.Models.Decoders.NaiveMath;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>Llama, Mixtral, Qwen2-MoE, Qwen3-MoE, OLMoE, GLM-4.5 and MiniMax-M2 in double precision, one token after
/// the
/// other, every switch read from the config as the family's reference class reads it.</summary>
internal sealed class NaiveDecoder(RandomCheckpoint weights, RopeSpec rope)
{
    private string Type => (string)weights.Config["model_type"]!;

    private int Hidden => weights.Config.Int("hidden_size");

    private int Heads => weights.Config.Int("num_attention_heads");

    private int KeyValueHeads => (int?)weights.Config["num_key_value_heads"] ?? Heads;

    private int HeadDim => (int?)weights.Config["head_dim"] ?? Hidden / Heads;

    private int Layers => weights.Config.Int("num_hidden_layers");

    private int Experts => (int?)weights.Config["num_experts"] ?? (int?)weights.Config["num_local_experts"]
        ?? weights.Config.Int("n_routed_experts");

    private bool IsTied => Flag("tie_word_embeddings");

    private bool HasInputBias => Type == "qwen2_moe" ? Flag("qkv_bias", true) : Flag("attention_bias");

    private bool HasOutputBias => Type is not ("qwen2_moe" or "glm4_moe") && Flag("attention_bias");

    private bool NormsHeads => Type == "qwen3_moe" || (Type == "glm4_moe" && Flag("use_qk_norm"));

    private bool NormsAll => Type is "olmoe" or "minimax_m2";

    private bool IsBlockSparse => Type is "mixtral" or "minimax_m2";

    private bool IsSigmoid => Type is "glm4_moe" or "minimax_m2";

    private (string Gate, string Up, string Down) ExpertNames =>
        IsBlockSparse ? ("w1", "w3", "w2") : ("gate_proj", "up_proj", "down_proj");

    /// <summary>Fills the checkpoint with random weights of the config's shapes.</summary>
    public void AddWeights()
    {
        int vocabulary = weights.Config.Int("vocab_size");
        weights.Matrix("model.embed_tokens.weight", vocabulary, Hidden, Math.Sqrt(Hidden));
        if (!IsTied)
            weights.Matrix("lm_head.weight", vocabulary, Hidden);
        weights.Vector("model.norm.weight", Hidden, 1);
        for (int layer = 0; layer < Layers; layer++)
        {
            string module = $"model.layers.{layer}";
            weights.Vector($"{module}.input_layernorm.weight", Hidden, 1);
            weights.Vector($"{module}.post_attention_layernorm.weight", Hidden, 1);
            AddAttention($"{module}.self_attn");
            if (IsRouted(layer))
                AddMoe($"{module}.{(IsBlockSparse ? "block_sparse_moe" : "mlp")}");
            else
                AddNetwork($"{module}.mlp", weights.Config.Int("intermediate_size"), DenseNames, Flag("mlp_bias"));
        }
    }

    /// <summary>Logits of every position, [T × vocabulary].</summary>
    public double[] Logits(int[] tokens)
    {
        double[][] h = [.. tokens.Select(token => weights["model.embed_tokens.weight"][token])];
        for (int layer = 0; layer < Layers; layer++)
        {
            string module = $"model.layers.{layer}";
            h = [.. h.Zip(Attention(layer, $"{module}.self_attn", Norm($"{module}.input_layernorm", h)), Add)];
            double[][] x = Norm($"{module}.post_attention_layernorm", h);
            h = [.. h.Zip(x.Select(row => FeedForward(layer, module, row)), Add)];
        }

        string head = IsTied ? "model.embed_tokens" : "lm_head";
        return [.. Norm("model.norm", h).SelectMany(row => weights.Linear(head, row))];
    }

    private static (string Gate, string Up, string Down) DenseNames => ("gate_proj", "up_proj", "down_proj");

    private double Epsilon => (double)weights.Config["rms_norm_eps"]!;

    private bool Flag(string key, bool otherwise = false) => (bool?)weights.Config[key] ?? otherwise;

    private double[][] Norm(string module, double[][] rows) =>
        [.. rows.Select(row => Rms(row, weights[$"{module}.weight"][0], Epsilon))];

    private bool IsRouted(int layer) => Type switch
    {
        "llama" => false,
        "glm4_moe" => layer >= weights.Config.Int("first_k_dense_replace"),
        "qwen2_moe" or "qwen3_moe" => (layer + 1) % ((int?)weights.Config["decoder_sparse_step"] ?? 1) == 0
            && !(weights.Config["mlp_only_layers"]?.AsArray().Any(dense => (int)dense! == layer) ?? false),
        _ => true,
    };

    /// <summary>First position a query sees.</summary>
    private int First(int layer, int position)
    {
        bool slides = Type switch
        {
            "mixtral" => true,
            "qwen3_moe" => Flag("use_sliding_window"),
            "qwen2_moe" => Flag("use_sliding_window") && layer % 2 == 0
                && layer < weights.Config.Int("max_window_layers"),
            _ => false,
        };
        return slides && (int?)weights.Config["sliding_window"] is { } window ? Math.Max(0, position - window + 1) : 0;
    }

    private void AddAttention(string module)
    {
        void Add(string name, int rows, int columns, bool bias)
        {
            weights.Matrix($"{module}.{name}.weight", rows, columns);
            if (bias)
                weights.Vector($"{module}.{name}.bias", rows, 0);
        }

        Add("q_proj", Heads * HeadDim, Hidden, HasInputBias);
        Add("k_proj", KeyValueHeads * HeadDim, Hidden, HasInputBias);
        Add("v_proj", KeyValueHeads * HeadDim, Hidden, HasInputBias);
        Add("o_proj", Hidden, Heads * HeadDim, HasOutputBias);
        if (NormsHeads || NormsAll)
        {
            weights.Vector($"{module}.q_norm.weight", NormsAll ? Heads * HeadDim : HeadDim, 1);
            weights.Vector($"{module}.k_norm.weight", NormsAll ? KeyValueHeads * HeadDim : HeadDim, 1);
        }
    }

    private void AddNetwork(string module, int width, (string Gate, string Up, string Down) names, bool bias = false)
    {
        foreach (var (name, rows, columns) in new[]
            { (names.Gate, width, Hidden), (names.Up, width, Hidden), (names.Down, Hidden, width) })
        {
            weights.Matrix($"{module}.{name}.weight", rows, columns);
            if (bias)
                weights.Vector($"{module}.{name}.bias", rows, 0);
        }
    }

    private void AddMoe(string module)
    {
        bool ownWidth = Type is "qwen2_moe" or "qwen3_moe" or "glm4_moe";
        int width = weights.Config.Int(ownWidth ? "moe_intermediate_size" : "intermediate_size");
        weights.Matrix($"{module}.gate.weight", Experts, Hidden, 2);
        if (IsSigmoid)
            weights.Vector($"{module}{(Type == "glm4_moe" ? ".gate" : "")}.e_score_correction_bias", Experts, 0);
        for (int e = 0; e < Experts; e++)
            AddNetwork($"{module}.experts.{e}", width, ExpertNames);
        if (Type == "qwen2_moe")
        {
            AddNetwork($"{module}.shared_expert", weights.Config.Int("shared_expert_intermediate_size"), DenseNames);
            weights.Matrix($"{module}.shared_expert_gate.weight", 1, Hidden);
        }
        else if (Type == "glm4_moe" && weights.Config.Int("n_shared_experts") > 0)
        {
            AddNetwork($"{module}.shared_experts", weights.Config.Int("n_shared_experts") * width, DenseNames);
        }
    }

    private double[][] Attention(int layer, string module, double[][] x)
    {
        List<double[]>[] keys = [.. Enumerable.Range(0, KeyValueHeads).Select(_ => new List<double[]>())];
        List<double[]>[] values = [.. Enumerable.Range(0, KeyValueHeads).Select(_ => new List<double[]>())];
        var results = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[][] q = Project($"{module}.q", x[t], t);
            double[][] k = Project($"{module}.k", x[t], t);
            double[][] v = [.. Clip(weights.Linear($"{module}.v_proj", x[t], HasInputBias)).Chunk(HeadDim)];
            var attended = new List<double>();
            for (int head = 0; head < KeyValueHeads; head++)
            {
                keys[head].Add(k[head]);
                values[head].Add(v[head]);
            }

            for (int head = 0; head < Heads; head++)
            {
                int group = head / (Heads / KeyValueHeads);
                int first = First(layer, t);
                attended.AddRange(
                    Attend(q[head], keys[group][first..], values[group][first..], 1 / Math.Sqrt(HeadDim)));
            }

            results[t] = weights.Linear($"{module}.o_proj", [.. attended], HasOutputBias);
        }

        return results;
    }

    /// <summary>Queries or keys of one position: projected, normalised, clipped, rotated, by head.</summary>
    private double[][] Project(string module, double[] x, int position)
    {
        double[] all = weights.Linear($"{module}_proj", x, HasInputBias);
        if (NormsAll)
            all = Rms(all, weights[$"{module}_norm.weight"][0], Epsilon);
        IEnumerable<double[]> heads = Clip(all).Chunk(HeadDim);
        if (NormsHeads)
            heads = heads.Select(head => Rms(head, weights[$"{module}_norm.weight"][0], Epsilon));
        return [.. heads.Select(head => Rotate(head, rope, position))];
    }

    private double[] Clip(double[] x) =>
        (double?)weights.Config["clip_qkv"] is { } limit ? [.. x.Select(v => Math.Clamp(v, -limit, limit))] : x;

    private double[] FeedForward(int layer, string module, double[] x) => !IsRouted(layer)
        ? Network($"{module}.mlp", x, DenseNames, Flag("mlp_bias"))
        : Moe($"{module}.{(IsBlockSparse ? "block_sparse_moe" : "mlp")}", x);

    private double[] Network(
        string module, double[] x, (string Gate, string Up, string Down) names, bool bias = false)
    {
        double[] gate = weights.Linear($"{module}.{names.Gate}", x, bias);
        double[] up = weights.Linear($"{module}.{names.Up}", x, bias);
        return weights.Linear($"{module}.{names.Down}", [.. gate.Zip(up, (g, u) => Activate(g) * u)], bias);
    }

    private double Activate(double x) => ((string?)weights.Config["hidden_act"] ?? "silu") switch
    {
        "relu" => Math.Max(x, 0),
        "gelu_pytorch_tanh" => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        _ => Silu(x),
    };

    private double[] Moe(string module, double[] x)
    {
        double[] logits = weights.Linear($"{module}.gate", x);
        double[] scores = IsSigmoid ? [.. logits.Select(Sigmoid)] : Softmax(logits);
        string bias = $"{module}{(Type == "glm4_moe" ? ".gate" : "")}.e_score_correction_bias";
        double[] choice = IsSigmoid ? Add(scores, weights[bias][0]) : scores;
        int[] chosen = [.. Allowed(choice).OrderByDescending(e => choice[e])
            .Take(weights.Config.Int("num_experts_per_tok"))];
        double factor = (double?)weights.Config["routed_scaling_factor"] ?? 1;
        if (IsBlockSparse || Flag("norm_topk_prob", Type == "glm4_moe"))
            factor /= chosen.Sum(e => scores[e]);
        double[] y = Shared(module, x);
        foreach (int e in chosen)
            y = Add(y, Scale(Network($"{module}.experts.{e}", x, ExpertNames), scores[e] * factor));
        return y;
    }

    private double[] Shared(string module, double[] x)
    {
        if (Type == "qwen2_moe")
        {
            double gate = Sigmoid(weights.Linear($"{module}.shared_expert_gate", x)[0]);
            return Scale(Network($"{module}.shared_expert", x, DenseNames), gate);
        }

        return Type == "glm4_moe" && weights.Config.Int("n_shared_experts") > 0
            ? Network($"{module}.shared_experts", x, DenseNames)
            : new double[x.Length];
    }

    /// <summary>Experts of the groups that stay.</summary>
    private IEnumerable<int> Allowed(double[] choice)
    {
        int groups = (int?)weights.Config["n_group"] ?? 1, size = Experts / groups;
        return Enumerable.Range(0, groups)
            .OrderByDescending(g => choice[(g * size)..((g + 1) * size)].OrderDescending().Take(2).Sum())
            .Take((int?)weights.Config["topk_group"] ?? 1)
            .SelectMany(g => Enumerable.Range(g * size, size));
    }
}
