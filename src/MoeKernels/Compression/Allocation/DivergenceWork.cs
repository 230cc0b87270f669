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
        for (int i = 0; i < vocabulary; i++)
            q[i] = p[i] - q[i];
        return (Vec.Dot(exponentials, q, vocabulary) / pSum) - Math.Log(pSum) + Math.Log(qSum);
    }

    private void ShiftToZero(float* x)
    {
        float largest = x[0];
        for (int i = 1; i < vocabulary; i++)
            largest = x[i] > largest ? x[i] : largest;
        for (int i = 0; i < vocabulary; i++)
            x[i] -= largest;
    }
}
