using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using MoeKernels.Cpu;

namespace MoeKernels.Compression;

/// <summary>Divergence <c>Σ p (log p - log q)</c> of two rows of logits, one item a token; the logits are
/// spent.</summary>
/// <param name="dense">Logits of p, [tokens × vocabulary].</param>
/// <param name="other">Logits of q, likewise.</param>
/// <param name="work">As much memory again.</param>
/// <param name="vocabulary">Logits of a token.</param>
/// <param name="result">Receives [tokens].</param>
internal readonly unsafe struct DivergenceWork(
    float* dense, float* other, float* work, int vocabulary, double* result) : IWork
{
    public void Execute(int begin, int end, int worker)
    {
        for (int row = begin; row < end; row++)
        {
            nint first = (nint)row * vocabulary;
            result[row] = Divergence(dense + first, other + first, work + first);
        }
    }

    private double Divergence(float* p, float* q, float* exponentials)
    {
        ShiftToZero(p);
        ShiftToZero(q);
        Activations.Exp(q, exponentials, vocabulary);
        double qSum = Vec.Sum(exponentials, vocabulary);
        Activations.Exp(p, exponentials, vocabulary);
        double pSum = Vec.Sum(exponentials, vocabulary);
        Vec.AddScaled(p, q, -1, vocabulary);
        return (Vec.Dot(exponentials, p, vocabulary) / pSum) - Math.Log(pSum) + Math.Log(qSum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ShiftToZero(float* x)
    {
        int whole = vocabulary - (vocabulary % Vector512<float>.Count);
        Vector512<float> lanes = Vector512.Create(x[0]);
        for (int i = 0; i < whole; i += Vector512<float>.Count)
            lanes = Vector512.Max(lanes, Vector512.Load(x + i));
        float largest = lanes[0];
        for (int lane = 1; lane < Vector512<float>.Count; lane++)
            largest = MathF.Max(largest, lanes[lane]);
        for (int i = whole; i < vocabulary; i++)
            largest = MathF.Max(largest, x[i]);
        for (int i = 0; i < whole; i += Vector512<float>.Count)
            (Vector512.Load(x + i) - Vector512.Create(largest)).Store(x + i);
        for (int i = whole; i < vocabulary; i++)
            x[i] -= largest;
    }
}
