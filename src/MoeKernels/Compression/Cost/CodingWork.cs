namespace MoeKernels.Compression;

/// <summary>Seconds that the quantiser's steps take on one core, by sizes alone: leading terms, with rates measured on
/// one 3.6 GHz core of a Zen 4. <see cref="MachineSpeed"/> says by how much another machine differs.</summary>
internal static class CodingWork
{
    /// <summary>A multiply-add of a product or a solve.</summary>
    private const double Multiply = 1 / 30e9;

    /// <summary>A number of a Hessian that is put in the order of its groups.</summary>
    private const double Load = 5e-9;

    /// <summary>A weight that is searched for: for its group, and for every beginning that is kept.</summary>
    private const double Weight = 6.5e-9, Beam = 10e-9;

    /// <summary>Clustering <see cref="ClusteredVectors"/> vectors of ten numbers.</summary>
    private const double Clustering = 24e-3;

    private const int ClusteredVectors = 1 << 15;

    /// <summary>What an expert's gate and up should become.</summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="tokens">Tokens of the expert.</param>
    /// <param name="plain">Whether the matrices themselves are wanted.</param>
    public static double Inputs(ExpertShape shape, double tokens, bool plain)
    {
        double hidden = shape.Hidden, weights = (double)shape.MatrixWeights * shape.InputMatrices;
        double moments = tokens * hidden * hidden / 2;
        return plain
            ? Multiply * moments
            : (Multiply * (moments + (2 * tokens * weights) + (weights * hidden))) + Factor(shape.Hidden);
    }

    /// <summary>What an expert's down should become.</summary>
    /// <inheritdoc cref="Inputs" path="/param"/>
    public static double Down(ExpertShape shape, double tokens, bool plain)
    {
        double width = shape.Intermediate, weights = shape.MatrixWeights, inputs = weights * shape.InputMatrices;
        double coded = tokens * (inputs + (width * width / 2));
        return plain
            ? Multiply * coded
            : (Multiply * (coded + (tokens * (inputs + (2 * weights))) + (weights * width)))
                + Factor(shape.Intermediate);
    }

    /// <summary>Factoring a Hessian.</summary>
    /// <param name="columns">K.</param>
    public static double Factor(double columns) =>
        (Multiply * columns * columns * columns / 6) + (Load * columns * columns / 2);

    /// <summary>Choosing the codes of a matrix, its factor not counted.</summary>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">K.</param>
    /// <param name="option">How it is coded.</param>
    public static double Quantize(double rows, double columns, CodeOption option) =>
        rows * columns * ((Multiply * columns) + Search(option, CodebookQuantizer.DefaultBeams));

    /// <summary>Training a codebook.</summary>
    /// <param name="samples">Matrices.</param>
    /// <param name="rows">Rows of each.</param>
    /// <param name="columns">K.</param>
    /// <param name="option">Weights per code and stages.</param>
    /// <param name="options">Rounds, weights and vectors.</param>
    public static double Train(double samples, double rows, double columns, CodeOption option, CodebookOptions options)
    {
        double weights = Math.Min(options.SampleWeights, samples * rows * columns);
        double product = Multiply * columns / 2;
        double cluster = Clustering * option.Stages * (0.5 + (0.05 * option.Dimension))
            * options.InitialVectors / ClusteredVectors;
        double round = product + Search(option, options.TrainingBeams);
        return (samples * Factor(columns)) + cluster + (weights * (product + (options.Rounds * round)));
    }

    /// <summary>Shorter groups are more groups, and further stages search again.</summary>
    private static double Search(CodeOption option, int beams) => (Weight + (Beam * beams))
        * (0.6 + (4.0 / option.Dimension)) * (0.33 + (0.67 * option.Stages));
}
