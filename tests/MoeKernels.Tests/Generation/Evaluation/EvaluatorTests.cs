using System.Text.Json;
using MoeKernels.Formats;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Description;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Families;
using MoeKernels.Tests.Compression.Pipeline;
using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Generation.Evaluation;

public class EvaluatorTests(SampleModel sample) : IClassFixture<SampleModel>
{
    // Mean nll of the first 8 windows of the shipped book, made once by a run that also agreed with the reference
    // perplexity of transformers on the validation books.
    private const double BookNll = 3.447902780152;
    private const int BookWindows = 8;

    private static string Book => File.ReadAllText(RepositoryPaths.DataFile("books", "the-time-machine.txt"));

    [Fact]
    public async Task Evaluate_NoWindows_IsRefused() =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => sample.Model.EvaluateAsync([Book], new EvaluationOptions { MaxWindows = 0 }));

    [Fact]
    public async Task Evaluate_ShippedBook_GivesItsKnownFigure()
    {
        var result = await sample.Model.EvaluateAsync(
            [Book], new EvaluationOptions { MaxWindows = BookWindows });
        Assert.Equal(BookWindows * 512, result.Tokens);
        Assert.InRange(result.Nll, BookNll - 2e-5, BookNll + 2e-5);
        Assert.Null(result.Kl);
    }

    /// <summary>The reference figure of transformers on all windows of the validation books; needs the full data
    /// set.</summary>
    [Fact]
    public async Task Evaluate_ValidationBooks_GivesTheReferenceNll()
    {
        string? data = Environment.GetEnvironmentVariable("MOEK_TEST_DATA");
        Assert.SkipUnless(data is not null, "MOEK_TEST_DATA names no folder with the full data set.");
        string[] books =
        [
            Path.Combine(data, "data", "books", "h-g-wells_the-war-of-the-worlds.txt"),
            Path.Combine(data, "data", "books", "jane-austen_emma.txt"),
        ];
        using var reference = JsonDocument.Parse(
            await File.ReadAllTextAsync(Path.Combine(data, "models", "novelist-s", "perplexity.json")));
        var expected = reference.RootElement.GetProperty("val");
        var result = await sample.Model.EvaluateAsync([.. books.Select(File.ReadAllText)]);
        Assert.Equal(expected.GetProperty("windows").GetInt32(), result.Windows);
        double nll = expected.GetProperty("nll").GetDouble();
        TestContext.Current.TestOutputHelper!.WriteLine($"nll {result.Nll:R}, reference {nll:R}");
        Assert.InRange(result.Nll, nll - 2e-5, nll + 2e-5);
    }

    /// <summary>The likelihood of a window behind itself, from the logits that a forward call gives.</summary>
    [Theory]
    [InlineData("switch")]
    [InlineData("nllb_moe")]
    public async Task Evaluate_EncoderDecoder_ScoresWindowsThatItHasRead(string name)
    {
        const int Window = 6, Windows = 3;
        using var model = await MoeModel.LoadAsync(RepositoryPaths.DataFile("models", name));
        using ModelFolder folder = ModelFolder.Open(RepositoryPaths.DataFile("models", name));
        ModelDescription description = FamilyRegistry.Describe(folder.Config);
        int vocabulary = description.VocabularySize;
        int[] ids = TestCompression.RandomIds(vocabulary, (Windows * Window) + 1);
        double expected = 0;
        foreach (int[] window in ids.Skip(1).Chunk(Window))
        {
            ForwardInput input = new(1, window, null, [description.DecoderStartToken!.Value, .. window[..^1]]);
            IReadOnlyList<RecordedTensor> tensors = await model.RecordAsync(
                input, cancellationToken: TestContext.Current.CancellationToken);
            RecordedTensor logits = tensors.First(tensor => tensor.Name == "logits");
            for (int i = 0; i < Window; i++)
            {
                float[] row = logits.Values![(i * vocabulary)..((i + 1) * vocabulary)];
                expected += Math.Log(row.Sum(logit => Math.Exp(logit))) - row[window[i]];
            }
        }

        EvaluationOptions options = new() { Window = Window, WindowsPerCall = 2 };
        EvaluationResult result = model.Evaluate(ids, options, model, null, default);
        Assert.Equal(expected / (Windows * Window), result.Nll, 1e-5);
        Assert.Equal((0, 1), (result.Kl, result.SameTop));
    }

    [Fact]
    public async Task Evaluate_WithAReferenceOfAnotherVocabulary_IsRefused()
    {
        using var model = await MoeModel.LoadAsync(RepositoryPaths.DataFile("models", "switch"));
        var asReference = await Assert.ThrowsAsync<MoeUnsupportedException>(
            () => sample.Model.EvaluateAsync([Book], reference: model));
        Assert.Contains("vocabulary", asReference.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Evaluate_WithAReferenceOfAnotherKind_IsRefused()
    {
        using var reading = await MoeModel.LoadAsync(RepositoryPaths.DataFile("models", "switch"));
        using var writing = await MoeModel.LoadAsync(RepositoryPaths.DataFile("models", "qwen3_moe"));
        int[] ids = TestCompression.RandomIds(96, 20);
        EvaluationOptions options = new() { Window = 8 };
        foreach ((MoeModel model, MoeModel reference) in new[] { (reading, writing), (writing, reading) })
        {
            var e = Assert.Throws<MoeUnsupportedException>(
                () => model.Evaluate(ids, options, reference, null, default));
            Assert.Contains("encoder", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Evaluate_ShortText_Throws() =>
        await Assert.ThrowsAsync<ArgumentException>(() => sample.Model.EvaluateAsync(["Too short."]));

    [Fact]
    public void Divergence_OfKnownDistributions_EqualsTheFormula()
    {
        float[] p = [MathF.Log(0.5f), MathF.Log(0.25f), MathF.Log(0.25f)];
        float[] q = [MathF.Log(0.25f) + 3, MathF.Log(0.25f) + 3, MathF.Log(0.5f) + 3];
        double expected = (0.5 * Math.Log(2)) + (0.25 * Math.Log(0.5));
        Assert.Equal(expected, Divergence(p, q), 6);
        Assert.Equal(0, Divergence(p, p), 9);
    }

    [Fact]
    public void Divergence_TokenThatBothExclude_AddsNothing()
    {
        float[] p = [0, float.NegativeInfinity, 0];
        Assert.Equal(0, Divergence(p, p), 9);
    }

    [Fact]
    public void Percentile_OfRanks_IsTheNearestRank()
    {
        double[] values = [.. Enumerable.Range(1, 200).Select(value => (double)value).Reverse()];
        Assert.Equal(198, EvaluationSums.Percentile(values, 99));
        Assert.Equal(200, EvaluationSums.Percentile(values, 100));
        Assert.Equal(7, EvaluationSums.Percentile([7], 99));
    }

    /// <summary>Every figure beside the same sums in the plainest way.</summary>
    [Fact]
    public void Sums_RandomLogits_EqualTheFormulas()
    {
        var random = new Random(3);
        var sums = new EvaluationSums(hasReference: true);
        List<double> divergences = [];
        double nll = 0, referenceNll = 0;
        int same = 0;
        for (int i = 0; i < 150; i++)
        {
            float[] p = [.. Enumerable.Range(0, 5).Select(_ => 4 * random.NextSingle())];
            float[] q = [.. p.Select(value => value + random.NextSingle())];
            int target = random.Next(5);
            sums.Add(q, p, target);
            double[] likely = Softmax(p), given = Softmax(q);
            nll -= Math.Log(given[target]);
            referenceNll -= Math.Log(likely[target]);
            divergences.Add(likely.Zip(given, (a, b) => a * Math.Log(a / b)).Sum());
            same += Array.IndexOf(p, p.Max()) == Array.IndexOf(q, q.Max()) ? 1 : 0;
        }

        var result = sums.Result(windows: 3);
        Assert.Equal((150, 3), (result.Tokens, result.Windows));
        Assert.Equal(nll / 150, result.Nll, 9);
        Assert.Equal(referenceNll / 150, result.ReferenceNll!.Value, 9);
        Assert.Equal(divergences.Average(), result.Kl!.Value, 9);
        Assert.Equal(divergences.Order().ElementAt(148), result.Kl99!.Value, 9);
        Assert.Equal(same / 150.0, result.SameTop!.Value, 9);
        Assert.InRange(same, 1, 149);
    }

    private static double Divergence(float[] reference, float[] model) => EvaluationSums.Divergence(
        reference, EvaluationSums.LogSumExp(reference), model, EvaluationSums.LogSumExp(model));

    private static double[] Softmax(float[] logits)
    {
        double sum = logits.Sum(logit => Math.Exp(logit));
        return [.. logits.Select(logit => Math.Exp(logit) / sum)];
    }
}
