using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace MoeKernels.Packed;

/// <summary>
/// QMoE's fixed dictionary: 65536 strings of 1 to 14 pairs of ternary symbols, one per 16-bit codeword. A pair is
/// <c>s[2k] + 3 s[2k+1]</c>, 0 to 8. Generated, not stored; its hash is checked, because files depend on every bit.
/// </summary>
/// <remarks>Immutable and thread-safe. Source: arXiv 2310.16795, section 4.</remarks>
internal sealed class QmoeDictionary
{
    /// <summary>Number of codewords.</summary>
    internal const int EntryCount = 1 << 16;

    /// <summary>Longest entry in pairs.</summary>
    internal const int MaxPairs = 14;

    /// <summary>Different values of a pair.</summary>
    internal const int PairValues = 9;

    /// <summary>The trie's node of the empty string; every other node is the codeword of its string.</summary>
    internal const int Root = EntryCount;

    /// <summary>Answer of <see cref="Child"/> where no entry continues that way.</summary>
    internal const int Missing = -1;

    /// <summary>Weights in one of the two words of an entry.</summary>
    private const int WeightsPerWord = 14;

    /// <summary>The probability of a zero that the authors fixed for all models.</summary>
    private const double ZeroProbability = .885;

    /// <summary>SHA-256 of <see cref="Words"/>, by which files name the dictionary.</summary>
    internal const string WordsHash = "c09862c453fe122634070a475357ff81a679aff65829d84a56f806c02a54ed45";

    private static readonly Lazy<QmoeDictionary> Instance = new(() => new QmoeDictionary());

    /// <summary>[65536][2]: bits 0 to 3 the entry's pairs, bits 4 + 2g and 5 + 2g the symbol of weight 14 word +
    /// g.</summary>
    private readonly uint[] _words = new uint[2 * EntryCount];

    /// <summary>[65537][9]: the codeword of a string and one more pair.</summary>
    private readonly int[] _trie = new int[(EntryCount + 1) * PairValues];

    private QmoeDictionary()
    {
        Array.Fill(_trie, Missing);
        Generate();
        string hash = Convert.ToHexStringLower(SHA256.HashData(MemoryMarshal.AsBytes<uint>(_words)));
        if (hash != WordsHash)
            throw new MoeException($"This machine generates another QMoE dictionary (SHA-256 {hash}).");
    }

    /// <summary>The dictionary; the first use generates it.</summary>
    /// <exception cref="MoeException">This machine's arithmetic gives another dictionary.</exception>
    internal static QmoeDictionary Shared => Instance.Value;

    /// <summary>The words [65536][2] of the authors' decoder.</summary>
    internal ReadOnlySpan<uint> Words => _words;

    /// <summary>The trie [65537][9] of the authors' encoder.</summary>
    internal ReadOnlySpan<int> Trie => _trie;

    /// <summary>Pairs of a codeword, 1 to 14.</summary>
    internal int PairCount(ushort code) => (int)(_words[2 * code] & 15);

    /// <summary>The node of a string and one more pair, or <see cref="Missing"/>.</summary>
    internal int Child(int node, int pair) => _trie[(node * PairValues) + pair];

    /// <summary>Writes the symbols of a codeword as far as there is room, which cuts the surplus symbol of an odd
    /// row.</summary>
    /// <returns>Symbols written.</returns>
    internal int Expand(ushort code, Span<byte> symbols)
    {
        int count = Math.Min(2 * PairCount(code), symbols.Length);
        for (int i = 0; i < count; i++)
        {
            uint word = _words[(2 * code) + (i / WeightsPerWord)];
            symbols[i] = (byte)((word >> (4 + (2 * (i % WeightsPerWord)))) & 3);
        }

        return count;
    }

    /// <summary>
    /// Takes the most probable strings in turn. Probabilities are equal but for rounding wherever length and number
    /// of nonzeros are, so the order of the products below decides which strings get in: keep it.
    /// </summary>
    private void Generate()
    {
        double[] pairProbabilities = PairProbabilities();
        var queue = new PriorityQueue<Candidate, Rank>();
        Extend(queue, new Rank(-1.0, 0), Root, 0, pairProbabilities);
        for (int entry = 0; entry < EntryCount; entry++)
        {
            queue.TryDequeue(out Candidate taken, out Rank rank);
            _trie[(taken.Parent * PairValues) + taken.Pair] = entry;
            WriteWords(entry, taken);
            if (taken.Length < MaxPairs)
                Extend(queue, rank, entry, taken.Length, pairProbabilities);
        }
    }

    private static double[] PairProbabilities()
    {
        double[] symbol = [ZeroProbability, (1 - ZeroProbability) / 2, (1 - ZeroProbability) / 2];
        var pairs = new double[PairValues];
        for (int i = 0; i < PairValues; i++)
            pairs[i] = symbol[i / 3] * symbol[i % 3];

        return pairs;
    }

    private static void Extend(
        PriorityQueue<Candidate, Rank> queue, Rank rank, int parent, int length, double[] pairProbabilities)
    {
        for (int pair = 0; pair < PairValues; pair++)
        {
            // 4 bits per pair from the top, value + 1: numerical order is the authors' lexicographic order.
            ulong text = rank.Text | ((ulong)(pair + 1) << (60 - (4 * length)));
            queue.Enqueue(
                new Candidate(parent, pair, length + 1), new Rank(rank.Probability * pairProbabilities[pair], text));
        }
    }

    /// <summary>The parent's words with one more pair.</summary>
    private void WriteWords(int entry, Candidate taken)
    {
        Span<uint> words = _words.AsSpan(2 * entry, 2);
        if (taken.Parent != Root)
            _words.AsSpan(2 * taken.Parent, 2).CopyTo(words);

        int weight = 2 * (taken.Length - 1);
        uint symbols = (uint)((taken.Pair % 3) | (taken.Pair / 3 << 2));
        words[weight / WeightsPerWord] |= symbols << (4 + (2 * (weight % WeightsPerWord)));
        words[0] = (words[0] & ~15u) | (uint)taken.Length;
        words[1] = (words[1] & ~15u) | (uint)taken.Length;
    }

    /// <summary>A string that may become an entry: an entry and one more pair.</summary>
    private readonly record struct Candidate(int Parent, int Pair, int Length);

    /// <summary>Place in the queue: by negated probability, then by the string.</summary>
    private readonly record struct Rank(double Probability, ulong Text) : IComparable<Rank>
    {
        public int CompareTo(Rank other) =>
            Probability != other.Probability ? Probability.CompareTo(other.Probability) : Text.CompareTo(other.Text);
    }
}
