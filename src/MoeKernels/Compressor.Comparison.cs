using MoeKernels.Compression;
using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Description;

namespace MoeKernels;

/// <content>Other methods on the same model and text, at the bits they take.</content>
public static partial class Compressor
{
    private const string ComparisonFolder = "comparison", PlainRounding = "plain rounding";

    /// <summary>QMoE, and rounding to the nearest level on its grid and on plain integers.</summary>
    private static IEnumerable<(string Name, CompressMethod Method)> Compared =>
    [
        ("qmoe", CompressMethod.Qmoe),
        ("plain ternary rounding", CompressMethod.Qmoe.Plainly()),
        (PlainRounding, CompressMethod.Integers(2).Plainly()),
        (PlainRounding, CompressMethod.Integers(3).Plainly()),
        (PlainRounding, CompressMethod.Integers(4).Plainly()),
    ];

    /// <summary>Codes and measures them one after the other in a folder that is removed again.</summary>
    private static async Task<IReadOnlyList<ComparisonPoint>> CompareAsync(
        ModelFolder folder, ModelDescription description, int[] ids, string scratch, WorkerPool pool,
        CompressOptions options, Action<CompressProgress> progress, CancellationToken cancellation)
    {
        var points = new List<ComparisonPoint>();
        foreach ((string name, CompressMethod method) in Compared)
        {
            string output = Path.Combine(scratch, ComparisonFolder);
            using var partial = PartialFolder.Open(output);
            try
            {
                var own = options with
                {
                    Method = method,
                    Bits = CompressOptions.DefaultBits,
                    MaxKl = null,
                    Resume = false,
                };
                var run = new CompressionRun(
                    folder, description, ids, partial, pool, own,
                    step => progress(step with { Stage = $"comparing {name}, {step.Stage}", Left = null }),
                    cancellation);
                EvaluationResult result = await WriteAsync(
                    run, folder.Path, partial.Path, own.Bits, own, cancellation).ConfigureAwait(false);
                double bits = MoeModel.Inspect(partial.Path).ExpertBits;
                points.Add(new ComparisonPoint(name, bits, result.Kl!.Value));
            }
            finally
            {
                partial.Dispose();
                Directory.Delete(partial.Path, recursive: true);
            }
        }

        return points;
    }
}
