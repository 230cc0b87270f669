namespace MoeKernels.Generation;

/// <summary>Chooses the next token from logits: repetition penalty, temperature, top-k, top-p, min-p, then one
/// draw.</summary>
/// <remarks>The order of the steps is that of transformers' logits processors. Equal logits rank by smaller token id,
/// so results repeat. Buffers are allocated once; a draw allocates nothing.</remarks>
internal sealed class Sampler
{
    private readonly SamplingSettings _settings;
    private readonly Random _random;
    private readonly float[] _scores;
    private readonly double[] _probabilities;
    private readonly int[] _kept;
    private readonly CandidateHeap _candidates;
    private readonly bool[] _seen;

    public Sampler(SamplingSettings settings, int vocabularySize)
    {
        _settings = settings;
        _random = new Random(settings.Seed);
        _scores = new float[vocabularySize];
        _probabilities = new double[vocabularySize];
        _kept = new int[vocabularySize];
        _candidates = new CandidateHeap(vocabularySize);
        _seen = new bool[vocabularySize];
    }

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">[vocabulary], finite or negative infinity.</param>
    /// <param name="context">Tokens so far, for the repetition penalty.</param>
    /// <param name="logProbability">Receives the token's log probability at the chosen temperature (1 when
    /// greedy).</param>
    /// <exception cref="MoeNonFiniteException">No logit is finite.</exception>
    public int Next(ReadOnlySpan<float> logits, IReadOnlyList<int> context, out float logProbability)
    {
        logits.CopyTo(_scores);
        Penalize(context);
        bool greedy = _settings.Temperature == 0;

        // In double precision, for the inverse of a tiny temperature is no float.
        double scale = greedy ? 1 : 1.0 / _settings.Temperature;
        int best = ArgMax(_scores);
        if (!float.IsFinite(_scores[best]))
        {
            throw new MoeNonFiniteException("sampling", "no finite logit to choose from");
        }

        double total = Exponentiate(_scores[best], scale);
        int token = greedy ? best : Draw(total);
        logProbability = (float)Math.Log(_probabilities[token] / total);
        return token;
    }

    /// <summary>Index of the largest value, the smallest index among equals; NaN never wins.</summary>
    internal static int ArgMax(ReadOnlySpan<float> values)
    {
        int best = 0;
        float highest = float.NegativeInfinity;
        for (int i = 0; i < values.Length; i++)
        {
            if (values[i] > highest)
            {
                highest = values[i];
                best = i;
            }
        }

        return best;
    }

    private void Penalize(IReadOnlyList<int> context)
    {
        float penalty = _settings.RepetitionPenalty;
        if (penalty == 1)
        {
            return;
        }

        Array.Clear(_seen);
        for (int i = 0; i < context.Count; i++)
        {
            int token = context[i];
            if (!_seen[token])
            {
                _seen[token] = true;
                _scores[token] = _scores[token] > 0 ? _scores[token] / penalty : _scores[token] * penalty;
            }
        }
    }

    /// <summary>Fills <see cref="_probabilities"/> with exp(scale (score - highest)) and returns their sum.</summary>
    private double Exponentiate(float highest, double scale)
    {
        double total = 0;
        for (int i = 0; i < _scores.Length; i++)
        {
            double weight = float.IsNaN(_scores[i]) ? 0 : Math.Exp(((double)_scores[i] - highest) * scale);
            _probabilities[i] = weight;
            total += weight;
        }

        return total;
    }

    private int Draw(double total)
    {
        double mass = 0;
        int kept = _settings.TopK > 0 || _settings.TopP < 1 ? KeepBest(total, ref mass) : KeepAll(ref mass);
        double target = _random.NextDouble() * mass;
        for (int i = 0; i < kept; i++)
        {
            target -= _probabilities[_kept[i]];
            if (target < 0)
            {
                return _kept[i];
            }
        }

        return _kept[kept - 1];
    }

    /// <summary>Keeps every possible token that min-p allows, in token order: no ranking is needed.</summary>
    private int KeepAll(ref double mass)
    {
        int kept = 0;
        for (int i = 0; i < _probabilities.Length; i++)
        {
            if (_probabilities[i] > 0 && _probabilities[i] >= _settings.MinP)
            {
                _kept[kept++] = i;
                mass += _probabilities[i];
            }
        }

        return kept;
    }

    /// <summary>Keeps the most likely tokens by top-k, then top-p of what that leaves, then min-p.</summary>
    private int KeepBest(double total, ref double mass)
    {
        _candidates.Fill(_probabilities);
        int limit = _settings.TopK > 0 ? Math.Min(_settings.TopK, _candidates.Count) : _candidates.Count;
        double available = _settings.TopK > 0 ? 0 : total;
        int kept = 0;

        // With top-k the mass that top-p refers to is known only once all k are taken.
        while (_settings.TopK > 0 && kept < limit)
        {
            int token = _candidates.Pop();
            _kept[kept++] = token;
            available += _probabilities[token];
        }

        double wanted = _settings.TopP * available;
        int used = 0;
        while (used < limit && (used == 0 || _settings.TopP == 1 || mass < wanted))
        {
            if (used == kept)
            {
                _kept[kept++] = _candidates.Pop();
            }

            double probability = _probabilities[_kept[used]];
            if (used > 0 && probability < _settings.MinP)
            {
                break;
            }

            mass += probability;
            used++;
        }

        return used;
    }
}
