namespace MoeKernels.Generation;

/// <summary>Tokens ordered by falling probability, the smaller id first among equals. Filling is linear in the
/// vocabulary and only the tokens that are taken cost a logarithm: sorting 150,000 tokens for each draw would cost more
/// than many a model's head.</summary>
internal sealed class CandidateHeap(int capacity)
{
    private readonly int[] _heap = new int[capacity];
    private double[] _keys = [];

    /// <summary>Candidates left.</summary>
    public int Count { get; private set; }

    /// <summary>Takes in every token with a probability above zero.</summary>
    /// <param name="probabilities">[vocabulary]; read until the next fill.</param>
    public void Fill(double[] probabilities)
    {
        _keys = probabilities;
        Count = 0;
        for (int i = 0; i < probabilities.Length; i++)
        {
            if (probabilities[i] > 0)
            {
                _heap[Count++] = i;
            }
        }

        for (int i = (Count / 2) - 1; i >= 0; i--)
        {
            SiftDown(i);
        }
    }

    /// <summary>Removes and returns the most likely token.</summary>
    public int Pop()
    {
        int best = _heap[0];
        _heap[0] = _heap[--Count];
        SiftDown(0);
        return best;
    }

    private void SiftDown(int parent)
    {
        while (true)
        {
            int child = (2 * parent) + 1;
            if (child >= Count)
            {
                return;
            }

            if (child + 1 < Count && Before(_heap[child + 1], _heap[child]))
            {
                child++;
            }

            if (!Before(_heap[child], _heap[parent]))
            {
                return;
            }

            (_heap[parent], _heap[child]) = (_heap[child], _heap[parent]);
            parent = child;
        }
    }

    private bool Before(int a, int b) => _keys[a] > _keys[b] || (_keys[a] == _keys[b] && a < b);
}
