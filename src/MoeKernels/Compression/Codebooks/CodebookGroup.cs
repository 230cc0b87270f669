using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>All matrices of one kind that share a codebook: trained on some of them, then coded one by one, on any
/// number of threads.</summary>
internal sealed unsafe class CodebookGroup
{
    private readonly TrainedCodebook _codebook;
    private readonly CodebookOptions _options;
    private readonly QuantizedMatrix[] _matrices;

    private CodebookGroup(TrainedCodebook codebook, CodebookOptions options, int count)
    {
        (_codebook, _options) = (codebook, options);
        _matrices = new QuantizedMatrix[count];
    }

    /// <summary>Weights per code.</summary>
    public int Dimension => _codebook.Dimension;

    /// <summary>Share of the outputs' mean square that is lost, over all matrices coded so far.</summary>
    public double RelativeError
    {
        get
        {
            var coded = _matrices.Where(matrix => matrix is not null).ToArray();
            return coded.Sum(matrix => matrix.Error) / Math.Max(coded.Sum(matrix => matrix.Energy), double.Epsilon);
        }
    }

    /// <summary>Trains the codebook.</summary>
    /// <param name="samples">Some of the matrices.</param>
    /// <param name="inputScales">Factors of the inputs, [columns].</param>
    /// <param name="options">Settings.</param>
    /// <param name="count">Matrices of the group.</param>
    /// <param name="scratch">Working memory.</param>
    /// <param name="cancellation">Stops between rounds.</param>
    public static CodebookGroup Train(
        IReadOnlyList<MatrixProblem> samples, float[] inputScales, CodebookOptions options, int count, Scratch scratch,
        CancellationToken cancellation)
    {
        TrainingSample[] training = [.. samples.Select(
            problem => new TrainingSample(problem.Target, problem.Rows, problem.Moments))];
        return new CodebookGroup(
            CodebookTrainer.Train(training, inputScales, options, scratch, cancellation), options, count);
    }

    /// <summary>Factors moments for <see cref="Quantize"/>; groups with the same inputs, input scales and dimension
    /// share it.</summary>
    public DampedFactor Factor(in MatrixProblem problem, Scratch scratch) => DampedFactor.Create(
        problem.Moments, problem.Columns, _codebook.InputScales, _options.Damping, scratch, _codebook.Dimension);

    /// <summary>Codes a matrix.</summary>
    /// <param name="index">Its place in the group.</param>
    /// <param name="problem">What it should become.</param>
    /// <param name="factor">From <see cref="Factor"/>.</param>
    /// <param name="scratch">Working memory.</param>
    public void Quantize(int index, in MatrixProblem problem, DampedFactor factor, Scratch scratch) =>
        _matrices[index] = CodebookQuantizer.Quantize(problem.Target, problem.Rows, factor, _codebook, scratch);

    /// <summary>Writes the matrix that codes stand for, [rows × columns].</summary>
    public void Decode(int index, float* weights)
    {
        QuantizedMatrix matrix = _matrices[index];
        CodebookShape shape = matrix.Shape;
        using VectorBook book = _codebook.ToBook();
        fixed (byte* codes = matrix.Codes)
        {
            for (int row = 0; row < shape.Rows; row++)
            {
                Span<float> target = new(weights + ((nint)row * shape.Columns), shape.Columns);
                book.Decode(codes + ((nint)row * shape.Entries), target);
                float scale = (float)BitConverter.UInt16BitsToHalf(matrix.Scales[row]) / _codebook.Step;
                for (int k = 0; k < target.Length; k++)
                    target[k] *= scale * _codebook.InputScales[k];
            }
        }
    }

    /// <summary>The coded matrices as they are stored; the caller disposes the stack.</summary>
    public CodebookStack ToStack()
    {
        CodebookShape shape = _matrices[0].Shape;
        byte[][] codes = Array.ConvertAll(_matrices, matrix =>
        {
            byte[] packed = new byte[shape.CodeBytes];
            CodebookMatrix.Pack(shape, matrix.Codes, packed);
            return packed;
        });
        Half[] inputs = Array.ConvertAll(_codebook.InputScales, scale => (Half)scale);
        Codebook codebook = new(_codebook.Dimension, _codebook.Stages, _codebook.Vectors, inputs);
        return new CodebookStack(shape, codes, Array.ConvertAll(_matrices, matrix => matrix.Scales), [codebook]);
    }
}
