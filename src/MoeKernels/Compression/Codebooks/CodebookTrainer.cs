namespace MoeKernels.Compression;

/// <summary>Trains the codebook of matrices that share one: clusters of the weights first, then rounds of GPTQ, in
/// which vectors follow what chose them.</summary>
internal static unsafe class CodebookTrainer
{
    /// <summary>Trains on a sample of matrices and rows.</summary>
    /// <param name="samples">Some of the matrices, all of K columns: four to eight are enough. Each takes K² floats
    /// while training runs.</param>
    /// <param name="inputScales">From <see cref="InputScaling"/>, [K].</param>
    /// <param name="options">Settings.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="cancellation">Stops between rounds and matrices.</param>
    /// <exception cref="MoeNonFiniteException">Weights or moments are not finite.</exception>
    public static TrainedCodebook Train(
        IReadOnlyList<TrainingSample> samples, float[] inputScales, CodebookOptions options, Scratch scratch,
        CancellationToken cancellation)
    {
        using VectorBook book = new(options.Dimension, options.Stages);
        sbyte[] integers = new sbyte[book.Length];
        List<TrainingRows> parts = [];
        try
        {
            foreach (TrainingSample sample in samples)
            {
                cancellation.ThrowIfCancellationRequested();
                long rows = options.SampleWeights / ((long)inputScales.Length * samples.Count);
                parts.Add(new TrainingRows(
                    sample, (int)Math.Clamp(rows, 1, sample.Rows), inputScales, options, scratch));
            }

            SmallRandom random = new(options.Seed);
            Initialise(parts, book, options, ref random, scratch);
            float step = book.Round(integers);
            for (int round = 0; round < options.Rounds; round++)
            {
                foreach (TrainingRows part in parts)
                {
                    cancellation.ThrowIfCancellationRequested();
                    part.Choose(book, options.TrainingBeams, scratch);
                }

                for (int stage = 0; stage < book.Stages; stage++)
                    Update(parts, book, stage);
                step = book.Round(integers);
            }

            return new TrainedCodebook(options.Dimension, options.Stages, integers, step, inputScales);
        }
        finally
        {
            parts.ForEach(part => part.Dispose());
        }
    }

    private static void Update(List<TrainingRows> parts, VectorBook book, int stage)
    {
        VectorUpdate update = new(book, stage);
        foreach (TrainingRows part in parts)
            update.Add(part.Factor, part.Error, part.Codes, part.Weights);
        float[] change = update.Apply();
        if (stage == book.Stages - 1)
            return;
        foreach (TrainingRows part in parts)
            update.Follow(part.Factor, part.Error, part.Codes, part.Weights.Length, change);
    }

    /// <summary>Clusters groups of the rows, then what is left of them for each further stage.</summary>
    private static void Initialise(
        List<TrainingRows> parts, VectorBook book, CodebookOptions options, ref SmallRandom random, Scratch scratch)
    {
        using Scratch.Frame frame = scratch.Begin();
        int d = book.Dimension;
        int count = options.InitialVectors;
        float* points = scratch.Zeros(KMeans.Length(count, d));
        for (int i = 0; i < count; i++)
        {
            TrainingRows part = parts[(int)random.Below(parts.Count)];
            int columns = part.Factor.Columns;
            nint row = (nint)random.Below(part.Weights.Length);
            int first = (int)random.Below(Math.Max(columns / d, 1)) * d;
            for (int k = 0; k < Math.Min(d, columns - first); k++)
                points[KMeans.Offset(i, d) + (k * VectorTable.Lanes)] = part.Rows[(row * columns) + first + k];
        }

        for (int stage = 0; stage < book.Stages; stage++)
        {
            KMeans.Cluster(points, count, d, ref random, book.Vector(stage, 0), scratch);
            KMeans.Subtract(points, count, d, book.Vector(stage, 0), scratch);
        }
    }
}
