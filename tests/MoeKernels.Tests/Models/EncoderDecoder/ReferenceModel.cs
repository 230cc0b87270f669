using System.Text.Json.Nodes;
using static MoeKernels.Tests.Models.EncoderDecoder.ReferenceMath;

namespace MoeKernels.Tests.Models.EncoderDecoder;

/// <summary>An encoder-decoder in double precision: what the two families have in common.</summary>
internal abstract class ReferenceModel(JsonObject config, Func<string, double[][]> matrix)
{
    protected JsonObject Config => config;

    protected double[][] Matrix(string name) => matrix(name);

    protected double[] Vector(string name) => matrix(name)[0];

    protected int Int(string key) => (int)config[key]!;

    protected bool Flag(string key, bool otherwise) => (bool?)config[key] ?? otherwise;

    /// <summary>Logits of every decoder row, [sequences × decoder tokens][vocabulary].</summary>
    public double[][] Logits(int[][] ids, int[][] mask, int[][] decoderIds)
    {
        double[][] encoded = Stack("encoder", ids, mask, null, mask);
        double[][] decoded = Stack("decoder", decoderIds, null, encoded, mask);
        return Head(decoded);
    }

    protected abstract int Layers(string side);

    protected abstract int Heads(string side);

    protected abstract double AttentionScale(string side);

    protected abstract double[][] Embed(string side, int[][] ids);

    /// <summary>The norm before sublayer 0 (self), 1 (cross) or 2 (network), or behind the stack (layer -1).</summary>
    protected abstract double[][] Norm(string side, int layer, int sublayer, double[][] x);

    /// <summary>Projection <c>q k v o</c> of self (0) or cross (1) attention.</summary>
    protected abstract double[][] Project(string side, int layer, int sublayer, char which, double[][] x);

    protected abstract double Bias(string side, int head, int query, int key);

    /// <summary>The feed-forward part over all rows of the call.</summary>
    protected abstract double[][] Network(string side, int layer, double[][] x, int length, int[][]? mask);

    protected abstract double[][] Head(double[][] x);

    private double[][] Stack(string side, int[][] ids, int[][]? mask, double[][]? encoded, int[][] sourceMask)
    {
        double[][] h = Embed(side, ids);
        int length = ids[0].Length;
        bool causal = encoded is not null;
        for (int layer = 0; layer < Layers(side); layer++)
        {
            double[][] x = Norm(side, layer, 0, h);
            h = Add(h, Attention(side, layer, 0, x, x, ids.Length, (b, i, j) => causal ? j <= i : mask![b][j] == 1));
            if (encoded is not null)
            {
                x = Norm(side, layer, 1, h);
                h = Add(h, Attention(side, layer, 1, x, encoded, ids.Length, (b, _, j) => sourceMask[b][j] == 1));
            }

            h = Add(h, Network(side, layer, Norm(side, layer, 2, h), length, mask));
        }

        return Norm(side, -1, 0, h);
    }

    private double[][] Attention(
        string side, int layer, int sublayer, double[][] x, double[][] source, int sequences,
        Func<int, int, int, bool> sees)
    {
        int queries = x.Length / sequences, keys = source.Length / sequences;
        double[][] q = Project(side, layer, sublayer, 'q', x);
        double[][] k = Project(side, layer, sublayer, 'k', source);
        double[][] v = Project(side, layer, sublayer, 'v', source);
        Func<int, int, int, double>? bias = sublayer == 0 ? (h, i, j) => Bias(side, h, i, j) : null;
        double[][] attended = [.. Enumerable.Range(0, sequences).SelectMany(b => Attend(
            q[(b * queries)..((b + 1) * queries)],
            k[(b * keys)..((b + 1) * keys)],
            v[(b * keys)..((b + 1) * keys)],
            Heads(side), AttentionScale(side), (i, j) => sees(b, i, j), bias))];
        return Project(side, layer, sublayer, 'o', attended);
    }
}
