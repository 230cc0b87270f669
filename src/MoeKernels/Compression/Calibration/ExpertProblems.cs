using System.Runtime.InteropServices;
using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>Works out, for one expert after the other, what its matrices should become; every worker has its
/// own.</summary>
/// <remarks>Tokens weigh as much as their outputs do, by the square of the routing weight, unless all count
/// alike.</remarks>
internal sealed unsafe class ExpertProblems(NetworkCalibration network) : IDisposable
{
    /// <summary>Tokens gathered at a time.</summary>
    private const int Piece = 256;

    private readonly ExpertMatrices _dense = network.Dense;

    /// <summary>Working memory, free between two calls.</summary>
    public Scratch Scratch { get; } = new();

    private int Hidden => _dense.Hidden;

    private int Intermediate => _dense.Intermediate;

    private bool Gated => _dense.Gate != null;

    /// <summary>Moments of an expert's inputs and the wanted gate and up.</summary>
    /// <param name="expert">Expert.</param>
    /// <param name="memory">Receives moments, gate (when there is one) and up one after the other.</param>
    public (MatrixProblem Gate, MatrixProblem Up) Inputs(int expert, NativeBuffer memory)
    {
        float* moments = (float*)memory.Pointer;
        float* up = moments + ((nint)Hidden * Hidden);
        float* gate = Gated ? up + ((nint)Intermediate * Hidden) : null;
        bool seen = !network.Tokens.Of(expert).IsEmpty;
        using Scratch.Frame frame = Scratch.Begin();
        float* upWeights = Widen(_dense.Up[expert], Scratch);
        float* gateWeights = Gated ? Widen(_dense.Gate[expert], Scratch) : null;
        LeastSquares squares = new(Scratch, Hidden, moments);
        if (seen)
            SumInputs(expert, ref squares, upWeights, up, gateWeights, gate);
        if (seen && !network.PlainTargets)
        {
            using DampedFactor factor = squares.Factor();
            squares.Solve(factor, upWeights, up, Intermediate);
            if (Gated)
                squares.Solve(factor, gateWeights, gate, Intermediate);
        }
        else
        {
            Copy(upWeights, up, (nint)Intermediate * Hidden);
            if (Gated)
                Copy(gateWeights, gate, (nint)Intermediate * Hidden);
        }

        MatrixProblem problem = new()
        {
            Target = up, Moments = seen ? moments : null, Rows = Intermediate, Columns = Hidden,
        };
        return (problem with { Target = gate }, problem);
    }

    /// <summary>Moments of what an expert's down projection gets from the coded gate and up, and the wanted
    /// down.</summary>
    /// <param name="expert">Expert.</param>
    /// <param name="gate">Coded gate, [intermediate × hidden]; null without gates.</param>
    /// <param name="up">Coded up, [intermediate × hidden].</param>
    /// <param name="memory">Receives moments and down one after the other.</param>
    public MatrixProblem Down(int expert, float* gate, float* up, NativeBuffer memory)
    {
        float* moments = (float*)memory.Pointer;
        float* down = moments + ((nint)Intermediate * Intermediate);
        bool seen = !network.Tokens.Of(expert).IsEmpty;
        using Scratch.Frame frame = Scratch.Begin();
        float* weights = Widen(_dense.Down[expert], Scratch);
        LeastSquares squares = new(Scratch, Intermediate, moments);
        if (seen)
            SumDown(expert, ref squares, gate, up, weights, down);
        if (seen && !network.PlainTargets)
        {
            using DampedFactor factor = squares.Factor();
            squares.Solve(factor, weights, down, Hidden);
        }
        else
        {
            Copy(weights, down, (nint)Hidden * Intermediate);
        }

        return new() { Target = down, Moments = seen ? moments : null, Rows = Hidden, Columns = Intermediate };
    }

    /// <summary>A matrix in single precision, in scratch memory.</summary>
    public static float* Widen(in WeightMatrix w, Scratch scratch)
    {
        float* wide = scratch.Floats((long)w.Rows * w.Columns);
        for (int r = 0; r < w.Rows; r++)
            WeightRow.Widen(w, r, wide + ((nint)r * w.Columns));
        return wide;
    }

    /// <inheritdoc/>
    public void Dispose() => Scratch.Dispose();

    private void SumInputs(
        int expert, ref LeastSquares squares, float* upWeights, float* up, float* gateWeights, float* gate)
    {
        using Scratch.Frame frame = Scratch.Begin();
        float* x = Scratch.Floats((long)Piece * Hidden);
        float* dense = Scratch.Floats((long)Piece * Hidden);
        float* wanted = Scratch.Floats((long)Piece * Intermediate);
        squares.Begin();
        Clear(up, (nint)Intermediate * Hidden);
        if (Gated)
            Clear(gate, (nint)Intermediate * Hidden);
        int tokens = network.Tokens.Of(expert).Length;
        for (int first = 0; first < tokens; first += Piece)
        {
            int n = Math.Min(Piece, tokens - first);
            Gather(network.Inputs, expert, first, n, x);
            double weight = Weigh(expert, first, n, x, Hidden);
            squares.AddInputs(x, n, weight);
            if (network.PlainTargets)
                continue;

            Gather(network.DenseInputs, expert, first, n, dense);
            Weigh(expert, first, n, dense, Hidden);
            Project(upWeights, null, dense, n, wanted);
            squares.AddOutputs(wanted, x, n, up, Intermediate);
            if (!Gated)
                continue;
            Project(gateWeights, null, dense, n, wanted);
            squares.AddOutputs(wanted, x, n, gate, Intermediate);
        }
    }

    private void SumDown(int expert, ref LeastSquares squares, float* gate, float* up, float* weights, float* down)
    {
        using Scratch.Frame frame = Scratch.Begin();
        float* upWeights = Widen(_dense.Up[expert], Scratch);
        float* gateWeights = Gated ? Widen(_dense.Gate[expert], Scratch) : null;
        float* x = Scratch.Floats((long)Piece * Hidden);
        float* a = Scratch.Floats((long)Piece * Intermediate);
        float* wanted = Scratch.Floats((long)Piece * Hidden);
        squares.Begin();
        Clear(down, (nint)Hidden * Intermediate);
        int tokens = network.Tokens.Of(expert).Length;
        for (int first = 0; first < tokens; first += Piece)
        {
            int n = Math.Min(Piece, tokens - first);
            if (!network.PlainTargets)
            {
                Gather(network.DenseInputs, expert, first, n, x);
                Activate(expert, gateWeights, upWeights, x, n, a);
                Missing(expert, first, n, wanted);
                Gemm.Add(
                    1, new(a, Intermediate), new MatrixView(weights, Intermediate).Transposed, wanted, Hidden, n,
                    Hidden, Intermediate, Scratch);
                Weigh(expert, first, n, wanted, Hidden);
            }

            Gather(network.Inputs, expert, first, n, x);
            Activate(expert, gate, up, x, n, a);
            double weight = Weigh(expert, first, n, a, Intermediate);
            squares.AddInputs(a, n, weight);
            if (!network.PlainTargets)
                squares.AddOutputs(wanted, a, n, down, Hidden);
        }
    }

    /// <summary>The activations between up and down, [n × intermediate].</summary>
    private void Activate(int expert, float* gate, float* up, float* x, int n, float* a)
    {
        using Scratch.Frame frame = Scratch.Begin();
        Project(up, _dense.UpBias == null ? null : _dense.UpBias[expert], x, n, a);
        if (!Gated)
        {
            Activations.Apply(_dense.Activation.Kind, a, a, n * Intermediate);
            return;
        }

        float* g = Scratch.Floats((long)n * Intermediate);
        Project(gate, _dense.GateBias == null ? null : _dense.GateBias[expert], x, n, g);
        Activations.ApplyGated(_dense.Activation, g, a, a, n * Intermediate);
    }

    /// <summary>Gate or up of some tokens, [n × intermediate].</summary>
    private void Project(float* weights, float* bias, float* x, int n, float* y)
    {
        for (int i = 0; i < n; i++)
        {
            if (bias == null)
                Clear(y + ((nint)i * Intermediate), Intermediate);
            else
                Copy(bias, y + ((nint)i * Intermediate), Intermediate);
        }

        Gemm.Add(
            1, new(x, Hidden), new MatrixView(weights, Hidden).Transposed, y, Intermediate, n, Intermediate, Hidden,
            Scratch);
    }

    private void Gather(TokenRows source, int expert, int first, int count, float* x)
    {
        ReadOnlySpan<int> tokens = network.Tokens.Of(expert).Slice(first, count);
        ReadOnlySpan<float> weights = network.Tokens.WeightsOf(expert).Slice(first, count);
        for (int i = 0; i < count; i++, x += Hidden)
        {
            if (network.WeightsInputs)
                Vec.Scale(source.Row(tokens[i]), weights[i], x, Hidden);
            else
                Copy(source.Row(tokens[i]), x, Hidden);
        }
    }

    /// <summary>Multiplies rows by their routing weights and returns the sum of the weights' squares.</summary>
    private double Weigh(int expert, int first, int count, float* rows, int width)
    {
        if (network.WeightsInputs || network.EqualTokens)
            return count;
        double total = 0;
        foreach (float weight in network.Tokens.WeightsOf(expert).Slice(first, count))
        {
            Vec.Scale(rows, weight, rows, width);
            rows += width;
            total += (double)weight * weight;
        }

        return total;
    }

    /// <summary>What the residual stream lacks, as each of a token's experts should add it.</summary>
    private void Missing(int expert, int first, int count, float* missing)
    {
        foreach (int token in network.Tokens.Of(expert).Slice(first, count))
        {
            float total = network.WeightsInputs ? 1 : network.Tokens.TotalWeights[token];
            float share = total > 0 ? 1 / total : 0;
            float* dense = network.DenseStream.Row(token), coded = network.Stream.Row(token);
            for (int k = 0; k < Hidden; k++)
                missing[k] = share * (dense[k] - coded[k]);
            missing += Hidden;
        }
    }

    private static void Copy(float* source, float* target, nint count) =>
        Buffer.MemoryCopy(source, target, count * sizeof(float), count * sizeof(float));

    private static void Clear(float* values, nint count) =>
        NativeMemory.Clear(values, (nuint)(count * sizeof(float)));
}
