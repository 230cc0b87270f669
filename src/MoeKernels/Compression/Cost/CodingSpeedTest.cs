using MoeKernels.Experts;

namespace MoeKernels.Compression;

/// <summary>Codes random experts, one a worker, step by step.</summary>
internal static class CodingSpeedTest
{
    private const int MostWidth = 2048, MostTokens = 512, WarmWidth = 64;

    /// <summary>Runs every step once on a small expert, so that it is compiled.</summary>
    /// <param name="shape">Sizes of the model's experts.</param>
    /// <param name="activation">Their activation.</param>
    /// <param name="scalar">As in <see cref="Run"/>.</param>
    public static void Warm(ExpertShape shape, Activation activation, ScalarOptions? scalar)
    {
        using var trial = new ExpertTrial(shape.AtMost(WarmWidth), activation, WarmWidth);
        trial.RunAll(scalar);
    }

    /// <summary>Times the steps.</summary>
    /// <param name="shape">Sizes of the model's experts; larger ones are cut.</param>
    /// <param name="activation">Their activation.</param>
    /// <param name="tokens">Tokens that an expert gets.</param>
    /// <param name="scalar">How a method without a budget rounds; null for codebooks alone.</param>
    /// <param name="parallelism">Workers, all busy at a time.</param>
    /// <returns>Seconds over those of <see cref="CodingWork"/> for targets, codes and training, and seconds of an
    /// expert on the grid.</returns>
    public static (double Targets, double Codes, double Training, double Scalar) Run(
        ExpertShape shape, Activation activation, double tokens, ScalarOptions? scalar, ParallelOptions parallelism)
    {
        int count = (int)Math.Clamp(tokens, 1, MostTokens), workers = parallelism.MaxDegreeOfParallelism;
        ExpertTrial[] trials = [.. Enumerable.Range(0, workers).Select(
            _ => new ExpertTrial(shape.AtMost(MostWidth), activation, count))];
        try
        {
            double targets = Together(trial => trial.MakeTargets());
            Array.ForEach(trials, trial => trial.Prepare());
            double codes = Together(trial => trial.Code());
            double training = Timing.Seconds(1, trials[0].Train);
            double grid = scalar is null ? 0 : Together(trial => trial.Round(scalar));
            double cut = (double)shape.MatrixWeights / trials[0].Shape.MatrixWeights;
            return (
                targets / trials[0].TargetWork, codes / trials[0].CodeWork, training / trials[0].TrainWork, grid * cut);
        }
        finally
        {
            Array.ForEach(trials, trial => trial.Dispose());
        }

        double Together(Action<ExpertTrial> step) => Timing.Seconds(workers, () => Concurrent.For(
            workers, parallelism, () => new Scratch(), (i, _) => step(trials[i])));
    }
}
