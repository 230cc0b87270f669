namespace MoeKernels.Compression;

/// <summary>Maps bits (linear, to the right) and divergences (logarithmic, upwards) to a plot's area, with round
/// limits.</summary>
internal sealed class LogAxes
{
    /// <summary>Decades shown at most: smaller values, and zero, lie on the lower edge.</summary>
    private const double MaxDecades = 6;

    private readonly double _left, _top, _width, _height;
    private readonly double _low, _high;
    private readonly double _from, _to, _step;

    /// <summary>Chooses limits that hold all values.</summary>
    /// <param name="left">Left edge of the area.</param>
    /// <param name="top">Upper edge of the area.</param>
    /// <param name="width">Width of the area.</param>
    /// <param name="height">Height of the area.</param>
    /// <param name="bits">Finite values, at least one.</param>
    /// <param name="divergences">Finite values, at least one.</param>
    public LogAxes(
        double left, double top, double width, double height,
        IReadOnlyCollection<double> bits, IReadOnlyCollection<double> divergences)
    {
        (_left, _top, _width, _height) = (left, top, width, height);
        (_from, _to, _step) = LinearLimits(bits.Min(), bits.Max());
        double highest = divergences.Max();
        double most = highest > 0 ? highest : 1e-3;
        double least = divergences.Where(value => value > 0).DefaultIfEmpty(most).Min();
        _high = Round(most, up: true);
        _low = Round(Math.Max(least, most * Math.Pow(10, -MaxDecades)), up: false);
        if (_low >= _high)
        {
            _low = Round(_high / 2, up: false);
        }
    }

    /// <summary>Place of a number of bits.</summary>
    public double X(double bits) => _left + (_width * (bits - _from) / (_to - _from));

    /// <summary>Place of a divergence.</summary>
    public double Y(double divergence)
    {
        double value = Math.Clamp(divergence, _low, _high);
        return _top + (_height * Math.Log(_high / value) / Math.Log(_high / _low));
    }

    /// <summary>Where vertical grid lines go.</summary>
    public IEnumerable<double> BitTicks
    {
        get
        {
            int count = (int)Math.Round((_to - _from) / _step);
            return Enumerable.Range(0, count + 1).Select(i => _from + (i * _step));
        }
    }

    /// <summary>Where horizontal grid lines go: 1, 2 and 5 of every decade, or with many decades the powers
    /// alone.</summary>
    public IEnumerable<double> DivergenceTicks
    {
        get
        {
            int[] digits = _high / _low > 2e3 ? [1] : [1, 2, 5];
            int first = (int)Math.Floor(Math.Log10(_low)) - 1;
            int last = (int)Math.Ceiling(Math.Log10(_high)) + 1;
            return
                from power in Enumerable.Range(first, last - first + 1)
                from digit in digits
                let tick = digit * Math.Pow(10, power)
                where tick >= _low * 0.999 && tick <= _high * 1.001
                select tick;
        }
    }

    private static (double From, double To, double Step) LinearLimits(double least, double most)
    {
        double span = Math.Max(most - least, 0.1);
        double step = Round(span / 8, up: true);
        double from = Math.Floor((least / step) + 1e-9) * step;
        double to = Math.Ceiling((most / step) - 1e-9) * step;
        return (from, to > from ? to : from + step, step);
    }

    /// <summary>The next 1, 2 or 5 times a power of ten.</summary>
    private static double Round(double value, bool up)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        double digit = value / power;
        const double Slack = 1e-9;
        return power * (up
            ? digit <= 1 + Slack ? 1 : digit <= 2 + Slack ? 2 : digit <= 5 + Slack ? 5 : 10
            : digit >= 5 - Slack ? 5 : digit >= 2 - Slack ? 2 : 1);
    }
}
