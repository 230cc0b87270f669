using MoeKernels.Models.Description;

namespace MoeKernels.Compression;

/// <summary>How the texts of a run are divided: what is calibrated with, and what is kept for measuring.</summary>
/// <param name="Calibrated">Windows that are calibrated with.</param>
/// <param name="Measured">Windows that cells are measured on.</param>
/// <param name="Evaluated">Tokens to evaluate on: what was held out, or the whole text where that is too
/// little.</param>
internal sealed record RunText(CalibrationWindows Calibrated, CalibrationWindows Measured, int[] Evaluated)
{
    /// <summary>Windows the result is evaluated on.</summary>
    public const int EvaluatedWindows = 64;

    /// <summary>Tokens that cells are measured on.</summary>
    private const int FewestMeasured = 2048, MostMeasured = 6144;

    /// <summary>Windows that the result will be evaluated on.</summary>
    public int EvaluationCount => Math.Min((Evaluated.Length - 1) / Calibrated.Length, EvaluatedWindows);

    /// <summary>Tokens at the end of the texts that are kept for measuring.</summary>
    public static int HeldOut(int tokens) => tokens / 20;

    /// <summary>Divides the texts' tokens; the last twentieth is for measuring.</summary>
    /// <param name="ids">The tokens.</param>
    /// <param name="model">The model.</param>
    /// <param name="cells">Its cells.</param>
    /// <param name="options">Tokens and window.</param>
    /// <exception cref="ArgumentException">There are fewer tokens than one window takes.</exception>
    public static RunText Divide(int[] ids, ModelDescription model, int cells, CompressOptions options)
    {
        int window = Math.Min(options.Window, model.MaxContext);
        int held = HeldOut(ids.Length);
        CalibrationWindows windows = CalibrationWindows.Spread(
            ids.AsSpan(0, ids.Length - held), window, options.Tokens);
        CalibrationWindows measured = CalibrationWindows.Spread(
            ids.AsSpan(ids.Length - Math.Max(held, window)), window, MeasuredTokens(windows, cells));
        return new RunText(windows, measured, held > window ? ids[^held..] : ids);
    }

    /// <summary>Tokens to measure cells on. A cell runs them through half of the layers on average, coding runs the
    /// calibration text through all of them twice: this keeps measuring below half of that.</summary>
    /// <param name="windows">Windows that are calibrated with.</param>
    /// <param name="cells">Cells of the model.</param>
    public static int MeasuredTokens(CalibrationWindows windows, int cells) =>
        (int)Math.Clamp(2L * windows.Tokens.Length / cells, FewestMeasured, MostMeasured);
}
