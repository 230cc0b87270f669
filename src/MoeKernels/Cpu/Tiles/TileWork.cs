using System.Runtime.CompilerServices;
using MoeKernels.Experts;

namespace MoeKernels.Cpu;

/// <summary>The bands of the experts' matrices times panels of their slots; panels of a band are neighbours, because
/// they share its tiles.</summary>
internal unsafe struct TileWork : IWork
{
    private const int Rows = TernaryTileShape.BandRows;
    private const int Tokens = TileInputs.PanelTokens;

    /// <summary>Slots of the experts.</summary>
    public ExpertSlots Slots;

    /// <summary>Rounded inputs of each expert's slots, [E].</summary>
    public TileInputs* Inputs;

    /// <summary>The non-linearity, or null.</summary>
    public Activation* Activation;

    /// <summary>The gates, or nothing.</summary>
    public ExpertProduct Gate;

    /// <summary>The matrices.</summary>
    public ExpertProduct Main;

    /// <summary>Output, [slots × rows].</summary>
    public float* Y;

    /// <summary>Distance between two slots of the output.</summary>
    public nint YStride;

    /// <summary>Items of all experts.</summary>
    public readonly int Items()
    {
        int items = 0;
        for (int e = 0; e < Slots.Experts; e++)
            items += ItemsOf(e);
        return items;
    }

    /// <inheritdoc/>
    public readonly void Execute(int begin, int end, int worker)
    {
        int first = 0;
        for (int expert = 0; expert < Slots.Experts && first < end; expert++)
        {
            int items = ItemsOf(expert);
            for (int item = Math.Max(begin - first, 0); item < Math.Min(end - first, items); item++)
            {
                (int band, int panel) = Math.DivRem(item, PanelsOf(expert));
                Multiply(expert, band, panel);
            }

            first += items;
        }
    }

    private readonly int SlotsOf(int expert) => Slots.Offsets[expert + 1] - Slots.Offsets[expert];

    private readonly int PanelsOf(int expert) => (SlotsOf(expert) + Tokens - 1) / Tokens;

    private readonly int ItemsOf(int expert) => SlotsOf(expert) == 0 ? 0 : PanelsOf(expert) * Bands(expert);

    private readonly int Bands(int expert) => (Main.Matrices[expert].Rows + Rows - 1) / Rows;

    [SkipLocalsInit]
    private readonly void Multiply(int expert, int band, int panel)
    {
        byte* memory = stackalloc byte[(2 * sizeof(float) * TileSums.Count) + 64];
        var sums = (float*)(((nint)memory + 63) & ~63);
        int tokens = Math.Min(Tokens, SlotsOf(expert) - (panel * Tokens));
        int rows = Math.Min(Rows, Main.Matrices[expert].Rows - (band * Rows));
        TileSums main = Product(Main, expert, band, panel, tokens, sums);
        bool gated = Activation != null && Activation->Gated;
        TileSums gate = gated
            ? Product(Gate, expert, band, panel, tokens, sums + TileSums.Count)
            : default;
        for (int t = 0; t < tokens; t++)
        {
            nint slot = Slots.Offsets[expert] + (panel * Tokens) + t;
            float* y = Y + (slot * YStride) + (band * Rows);
            Combine(main, Main, expert, band, t, y, rows);
            if (gated)
                ApplyGate(gate, expert, band, t, y, rows);
            else if (Activation != null)
                Activations.Apply(Activation->Kind, y, y, rows);
        }
    }

    private readonly TileSums Product(
        in ExpertProduct product, int expert, int band, int panel, int tokens, float* sums)
    {
        WeightMatrix w = product.Matrices[expert];
        byte* tile = new TernaryTileShape(w.Rows, w.Columns).Tile(w.Data, band, 0);
        return TileBand.Add(tile, Inputs[expert], panel, tokens, sums);
    }

    private static void Combine(
        in TileSums sums, in ExpertProduct product, int expert, int band, int token, float* y, int rows)
    {
        var levels = (ushort*)product.Matrices[expert].Scales + (2 * band * Rows);
        float* bias = product.Bias(expert);
        sums.Combine(token, levels, bias == null ? null : bias + (band * Rows), y, rows);
    }

    [SkipLocalsInit]
    private readonly void ApplyGate(in TileSums sums, int expert, int band, int token, float* y, int rows)
    {
        float* gates = stackalloc float[Rows];
        Combine(sums, Gate, expert, band, token, gates, rows);
        Activations.ApplyGated(*Activation, gates, y, y, rows);
    }
}
