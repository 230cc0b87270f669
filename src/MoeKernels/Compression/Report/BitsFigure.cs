using System.Globalization;

namespace MoeKernels.Compression;

/// <summary>Where the bits went: layers to the right, matrix kinds downwards, a colour for each number of bits. What
/// was not compressed stays grey, so that the colours tell the rest apart.</summary>
internal static class BitsFigure
{
    private const double Top = 52;
    private const double MapWidth = 700;
    private const double NarrowestCell = 3;
    private const double WidestCell = 64;
    private const double LegendBox = 58;
    private const double TickDistance = 24;

    /// <summary>Weights from this many bits on are drawn as kept.</summary>
    private const double KeptBits = 8;

    /// <summary>Narrower cells hold no text.</summary>
    private const double CellForText = 34;

    private const int LongestKind = 28;

    /// <summary>What the cells of one layer and kind got together.</summary>
    private sealed record Entry(int Layer, string Kind, double Bits, string Label, string Hint);

    public static string Draw(CompressionReport report)
    {
        var picture = new SvgPicture("Bits per weight by layer and matrix kind");
        picture.Text(20, 30, "Where the bits went", "ink head");
        Entry[] entries =
        [
            .. report.Cells.Where(cell => cell is { Weights: > 0, Bytes: > 0 })
                .GroupBy(cell => (cell.Layer, cell.Kind)).Select(Sum),
        ];
        if (entries.Length == 0)
        {
            picture.Text(20, 60, "Nothing was compressed.", "soft");
            return picture.ToString(400, 90);
        }

        return new Map(picture, entries).Draw();
    }

    private static Entry Sum(IGrouping<(int Layer, string Kind), CompressedCell> cells)
    {
        double bits = 8.0 * cells.Sum(cell => cell.Bytes) / cells.Sum(cell => cell.Weights);
        string[] labels = [.. cells.Select(cell => cell.Label).Distinct(StringComparer.Ordinal)];
        string label = labels.Length == 1 ? labels[0] : "mixed";
        string where = cells.Key.Layer < 0 ? cells.Key.Kind : $"layer {cells.Key.Layer}, {cells.Key.Kind}";
        string got = string.Join(", ", labels.Take(8));
        string hint = string.Create(CultureInfo.InvariantCulture, $"{where}: {got}, {bits:0.###} bits per weight");
        double[] kl = [.. cells.Select(cell => cell.Kl).OfType<double>()];
        return new Entry(
            cells.Key.Layer, cells.Key.Kind, bits, label,
            kl.Length == 0 ? hint : hint + string.Create(CultureInfo.InvariantCulture, $", KL {kl.Sum():0.#####}"));
    }

    /// <summary>Lays out and draws; columns are the layers that have entries, rows the kinds in order of
    /// appearance.</summary>
    private sealed class Map
    {
        private readonly SvgPicture _picture;
        private readonly Entry[] _entries;
        private readonly int[] _layers;
        private readonly string[] _kinds;
        private readonly double _left, _cellWidth, _rowHeight;
        private readonly double _least, _most;

        public Map(SvgPicture picture, Entry[] entries)
        {
            _picture = picture;
            _entries = entries;
            _layers = [.. entries.Select(entry => entry.Layer).Where(layer => layer >= 0).Distinct().Order()];
            _kinds = [.. entries.Select(entry => entry.Kind).Distinct(StringComparer.Ordinal)];
            _left = 32 + (SvgPicture.CharacterWidth * _kinds.Max(kind => Math.Min(kind.Length, LongestKind)));
            _cellWidth = Math.Clamp(MapWidth / Math.Max(_layers.Length, 1), NarrowestCell, WidestCell);
            _rowHeight = _cellWidth >= CellForText ? 34 : 22;
            double[] colored = [.. entries.Select(entry => entry.Bits).Where(bits => bits < KeptBits)];
            (_least, _most) = colored.Length > 0 ? (colored.Min(), colored.Max()) : (KeptBits, KeptBits);
        }

        private double Bottom => Top + (_kinds.Length * _rowHeight);

        private double RowWidth => Math.Max(_layers.Length, 1) * _cellWidth;

        public string Draw()
        {
            foreach (var entry in _entries)
            {
                Draw(entry);
            }

            for (int row = 0; row < _kinds.Length; row++)
            {
                string kind = _kinds[row];
                kind = kind.Length > LongestKind ? string.Concat(kind.AsSpan(0, LongestKind - 3), "...") : kind;
                _picture.Text(_left - 10, Top + ((row + 0.5) * _rowHeight) + 4, kind, "ink", "end");
            }

            DrawLayers();
            DrawLegend();
            double legendRight = _left + (Steps * LegendBox);
            return _picture.ToString(Math.Max(Math.Max(_left + RowWidth, legendRight) + 24, 320), Bottom + 92);
        }

        /// <summary>Matrices outside all blocks take their whole row.</summary>
        private void Draw(Entry entry)
        {
            int column = Array.BinarySearch(_layers, entry.Layer);
            double x = column < 0 ? _left : _left + (column * _cellWidth);
            double y = Top + (Array.IndexOf(_kinds, entry.Kind) * _rowHeight);
            double width = column < 0 ? RowWidth : _cellWidth;
            double gap = width >= 12 ? 1 : 0;
            bool kept = entry.Bits >= KeptBits;
            string ink = kept ? "soft" : $"t{Step(entry.Bits)}";
            string fill = kept ? "cell kept" : $"cell b{Step(entry.Bits)}";
            _picture.Box(x, y, width - gap, _rowHeight - 1, fill, entry.Hint);
            if (width < CellForText)
            {
                return;
            }

            string text = entry.Label.Length * SvgPicture.CharacterWidth <= width ? entry.Label : string.Empty;
            if (_rowHeight < CellForText)
            {
                _picture.Text(x + (width / 2), y + 15, text, ink, "middle");
                return;
            }

            _picture.Text(x + (width / 2), y + 15, text, ink, "middle");
            _picture.Text(x + (width / 2), y + 27, Short(entry.Bits), $"{ink} small", "middle");
        }

        private void DrawLayers()
        {
            int[] steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
            int step = steps.FirstOrDefault(step => step * _cellWidth >= TickDistance, steps[^1]);
            for (int column = 0; column < _layers.Length; column += step)
            {
                string layer = _layers[column].ToString(CultureInfo.InvariantCulture);
                _picture.Text(_left + ((column + 0.5) * _cellWidth), Bottom + 16, layer, "soft", "middle");
            }

            if (_layers.Length > 0)
            {
                _picture.Text(_left - 10, Bottom + 16, "layer", "soft", "end");
            }
        }

        /// <summary>Colours in use: one where all bits are equal.</summary>
        private int Steps => _most > _least ? SvgPicture.RampSteps : 1;

        private void DrawLegend()
        {
            _picture.Text(_left, Bottom + 46, "bits per weight", "ink");
            if (_least >= KeptBits)
            {
                _picture.Text(_left, Bottom + 66, "nothing was compressed", "soft");
                return;
            }

            for (int step = 0; step < Steps; step++)
            {
                double x = _left + (step * LegendBox);
                double bits = _least * Math.Pow(_most / _least, Steps == 1 ? 0 : step / (Steps - 1.0));
                int color = Steps == 1 ? Step(_least) : step;
                _picture.Box(x, Bottom + 54, LegendBox - 1, 20, $"key b{color}");
                _picture.Text(x + (LegendBox / 2), Bottom + 68, Short(bits), $"t{color}", "middle");
            }
        }

        /// <summary>Equal ratios of bits are equal distances.</summary>
        private int Step(double bits) => _most > _least && bits > 0
            ? (int)Math.Round((SvgPicture.RampSteps - 1) * Math.Log(bits / _least) / Math.Log(_most / _least))
            : SvgPicture.RampSteps / 2;

        private static string Short(double bits) => bits.ToString("0.00", CultureInfo.InvariantCulture);
    }
}
