using MoeKernels.Models.Description;
using MoeKernels.Tests.Models.EncoderDecoder;
using static MoeKernels.Tests.Models.Decoders.NaiveMath;

namespace MoeKernels.Tests.Models.Decoders;

/// <summary>Qwen3-Next in double precision, the delta rule as its paper writes it:
/// <c>S = g S (I - β k kᵀ) + β v kᵀ</c>.</summary>
internal sealed class NaiveQwen3Next(
    RandomCheckpoint weights, RopeSpec rope, Func<int, bool> isFull, Func<int, bool> isRouted)
{
    private int Hidden => weights.Config.Int("hidden_size");

    private int Heads => weights.Config.Int("num_attention_heads");

    private int KeyValueHeads => weights.Config.Int("num_key_value_heads");

    private int HeadDim => weights.Config.Int("head_dim");

    private int KeyHeads => weights.Config.Int("linear_num_key_heads");

    private int ValueHeads => weights.Config.Int("linear_num_value_heads");

    private int KeyDim => weights.Config.Int("linear_key_head_dim");

    private int ValueDim => weights.Config.Int("linear_value_head_dim");

    private int Taps => weights.Config.Int("linear_conv_kernel_dim");

    private int Shared => ValueHeads / KeyHeads;

    private int Channels => (2 * KeyHeads * KeyDim) + (ValueHeads * ValueDim);

    private double Epsilon => (double)weights.Config["rms_norm_eps"]!;

    private bool Bias => (bool)weights.Config["attention_bias"]!;

    /// <summary>Fills the checkpoint with random weights of the config's shapes.</summary>
    public void AddWeights()
    {
        int vocabulary = weights.Config.Int("vocab_size");
        weights.Matrix("model.embed_tokens.weight", vocabulary, Hidden, Math.Sqrt(Hidden));
        weights.Matrix("lm_head.weight", vocabulary, Hidden);
        weights.Vector("model.norm.weight", Hidden, 0);
        for (int layer = 0; layer < weights.Config.Int("num_hidden_layers"); layer++)
        {
            string module = $"model.layers.{layer}";
            weights.Vector($"{module}.input_layernorm.weight", Hidden, 0);
            weights.Vector($"{module}.post_attention_layernorm.weight", Hidden, 0);
            if (isFull(layer))
                AddAttention($"{module}.self_attn");
            else
                AddDeltaNet($"{module}.linear_attn");
            if (isRouted(layer))
                AddMoe($"{module}.mlp");
            else
                weights.AddSwiGlu($"{module}.mlp", Hidden, weights.Config.Int("intermediate_size"));
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
            double[][] mixed = isFull(layer)
                ? Attention($"{module}.self_attn", x)
                : DeltaNet($"{module}.linear_attn", x);
            h = [.. h.Zip(mixed, Add)];
            x = Norm($"{module}.post_attention_layernorm", h);
            h = [.. h.Zip(x.Select(row => FeedForward(layer, $"{module}.mlp", row)), Add)];
        }

        return [.. Norm("model.norm", h).SelectMany(row => weights.Linear("lm_head", row))];
    }

    private double[] FeedForward(int layer, string module, double[] x) =>
        isRouted(layer) ? Moe(module, x) : weights.SwiGlu(module, x);

    private double[][] Norm(string module, double[][] rows) => [.. rows.Select(row => Norm(module, row))];

    private double[] Norm(string module, double[] row) => Rms(row, weights[$"{module}.weight"][0], Epsilon, offset: 1);

    private void AddAttention(string module)
    {
        foreach (var (name, rows, columns) in new[]
        {
            ("q_proj", 2 * Heads * HeadDim, Hidden), ("k_proj", KeyValueHeads * HeadDim, Hidden),
            ("v_proj", KeyValueHeads * HeadDim, Hidden), ("o_proj", Hidden, Heads * HeadDim),
        })
        {
            weights.Matrix($"{module}.{name}.weight", rows, columns);
            if (Bias)
                weights.Vector($"{module}.{name}.bias", rows, 0);
        }

        weights.Vector($"{module}.q_norm.weight", HeadDim, 0);
        weights.Vector($"{module}.k_norm.weight", HeadDim, 0);
    }

    private double[][] Attention(string module, double[][] x)
    {
        List<double[]>[] keys = [.. Enumerable.Range(0, KeyValueHeads).Select(_ => new List<double[]>())];
        List<double[]>[] values = [.. Enumerable.Range(0, KeyValueHeads).Select(_ => new List<double[]>())];
        double[] Head(double[] row, int head) => row[(head * HeadDim)..((head + 1) * HeadDim)];
        double[][] results = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[] q = weights.Linear($"{module}.q_proj", x[t], Bias);
            double[] k = weights.Linear($"{module}.k_proj", x[t], Bias);
            double[] v = weights.Linear($"{module}.v_proj", x[t], Bias);
            for (int head = 0; head < KeyValueHeads; head++)
            {
                keys[head].Add(Rotate(Norm($"{module}.k_norm", Head(k, head)), rope, t));
                values[head].Add(Head(v, head));
            }

            List<double> attended = [];
            for (int head = 0; head < Heads; head++)
            {
                double[] query = Rotate(Norm($"{module}.q_norm", Head(q, 2 * head)), rope, t);
                int group = head / (Heads / KeyValueHeads);
                double[] value = Attend(query, keys[group], values[group], 1 / Math.Sqrt(HeadDim));
                attended.AddRange(value.Zip(Head(q, (2 * head) + 1), (y, gate) => y * Sigmoid(gate)));
            }

            results[t] = weights.Linear($"{module}.o_proj", [.. attended], Bias);
        }

        return results;
    }

    private void AddDeltaNet(string module)
    {
        int values = ValueHeads * ValueDim;
        weights.Matrix($"{module}.in_proj_qkvz.weight", (2 * KeyHeads * KeyDim) + (2 * values), Hidden);
        weights.Matrix($"{module}.in_proj_ba.weight", 2 * ValueHeads, Hidden);
        weights.Tensor($"{module}.conv1d.weight", [Channels, 1, Taps], 1);
        weights.Vector($"{module}.dt_bias", ValueHeads, 0);
        weights.Vector($"{module}.A_log", ValueHeads, 0.3);
        weights.Vector($"{module}.norm.weight", ValueDim, 1);
        weights.Matrix($"{module}.out_proj.weight", Hidden, values);
    }

    private double[][] DeltaNet(string module, double[][] x)
    {
        double[][] mixed = [.. x.Select(row => weights.Linear($"{module}.in_proj_qkvz", row))];
        double[][] gates = [.. x.Select(row => weights.Linear($"{module}.in_proj_ba", row))];
        double[][] convolved = Convolve($"{module}.conv1d.weight", [.. mixed.Select(ConvolutionInput)]);
        double[][] results = [.. x.Select(_ => new double[ValueHeads * ValueDim])];
        for (int head = 0; head < ValueHeads; head++)
        {
            int group = head / Shared, part = head % Shared;
            double[,] state = new double[ValueDim, KeyDim];
            double rate = Math.Exp(weights[$"{module}.A_log"][0][head]);
            for (int t = 0; t < x.Length; t++)
            {
                double[] q = Unit(convolved[t], group * KeyDim);
                double[] k = Unit(convolved[t], (KeyHeads + group) * KeyDim);
                double[] v = convolved[t][((2 * KeyHeads * KeyDim) + (head * ValueDim))..][..ValueDim];
                double beta = Sigmoid(gates[t][(2 * Shared * group) + part]);
                double a = gates[t][(2 * Shared * group) + Shared + part] + weights[$"{module}.dt_bias"][0][head];
                double decay = Math.Exp(-rate * Math.Log(1 + Math.Exp(a)));
                double[] y = Step(state, Scale(q, 1 / Math.Sqrt(KeyDim)), k, v, decay, beta);
                int gate = (group * HeadWidth) + (2 * KeyDim) + ((Shared + part) * ValueDim);
                y = Rms(y, weights[$"{module}.norm.weight"][0], Epsilon);
                for (int i = 0; i < ValueDim; i++)
                    results[t][(head * ValueDim) + i] = y[i] * Silu(mixed[t][gate + i]);
            }
        }

        return [.. results.Select(row => weights.Linear($"{module}.out_proj", row))];
    }

    private int HeadWidth => (2 * KeyDim) + (2 * Shared * ValueDim);

    private double[] ConvolutionInput(double[] mixed)
    {
        IEnumerable<double> Parts(int offset, int count) => Enumerable.Range(0, KeyHeads)
            .SelectMany(group => mixed[((group * HeadWidth) + offset)..][..count]);
        return [.. Parts(0, KeyDim), .. Parts(KeyDim, KeyDim), .. Parts(2 * KeyDim, Shared * ValueDim)];
    }

    private double[][] Convolve(string name, double[][] rows) => [.. rows.Select((_, t) => Enumerable.Range(0, Channels)
        .Select(c => Silu(Enumerable.Range(0, Taps).Where(j => t - j >= 0)
            .Sum(j => weights[name][0][(c * Taps) + Taps - 1 - j] * rows[t - j][c]))).ToArray())];

    private double[] Unit(double[] row, int offset)
    {
        double[] head = row[offset..(offset + KeyDim)];
        return Scale(head, 1 / Math.Sqrt(Dot(head, head) + 1e-6));
    }

    private double[] Step(double[,] state, double[] q, double[] k, double[] v, double decay, double beta)
    {
        double[] y = new double[ValueDim];
        for (int i = 0; i < ValueDim; i++)
        {
            double memory = 0;
            for (int j = 0; j < KeyDim; j++)
                memory += (state[i, j] *= decay) * k[j];
            for (int j = 0; j < KeyDim; j++)
            {
                state[i, j] += beta * (v[i] - memory) * k[j];
                y[i] += state[i, j] * q[j];
            }
        }

        return y;
    }

    private void AddMoe(string module)
    {
        weights.Matrix($"{module}.gate.weight", weights.Config.Int("num_experts"), Hidden, 2);
        for (int e = 0; e < weights.Config.Int("num_experts"); e++)
            weights.AddSwiGlu($"{module}.experts.{e}", Hidden, weights.Config.Int("moe_intermediate_size"));
        weights.AddSwiGlu($"{module}.shared_expert", Hidden, weights.Config.Int("shared_expert_intermediate_size"));
        weights.Matrix($"{module}.shared_expert_gate.weight", 1, Hidden);
    }

    private double[] Moe(string module, double[] x)
    {
        double[] scores = Softmax(weights.Linear($"{module}.gate", x));
        int[] chosen = [.. Enumerable.Range(0, scores.Length).OrderByDescending(e => scores[e])
            .Take(weights.Config.Int("num_experts_per_tok"))];
        double total = (bool)weights.Config["norm_topk_prob"]! ? chosen.Sum(e => scores[e]) : 1;
        double gate = Sigmoid(weights.Linear($"{module}.shared_expert_gate", x)[0]);
        double[] y = Scale(weights.SwiGlu($"{module}.shared_expert", x), gate);
        foreach (int e in chosen)
            y = Add(y, Scale(weights.SwiGlu($"{module}.experts.{e}", x), scores[e] / total));
        return y;
    }
}
