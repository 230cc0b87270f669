using MoeKernels.Packed;

namespace MoeKernels.Tests.Packed;

/// <summary>Random codebook matrices with one codebook.</summary>
internal sealed class TestStack : IDisposable
{
    /// <param name="shape">Sizes.</param>
    /// <param name="count">Matrices.</param>
    /// <param name="inputScales">Whether the inputs have factors.</param>
    public TestStack(CodebookShape shape, int count, bool inputScales)
    {
        Matrices = [.. Enumerable.Range(1, count).Select(
            seed => new TestCodebook(shape, seed, inputScales: inputScales))];
        Stack = new CodebookStack(
            shape,
            [.. Matrices.Select(matrix => matrix.Codes.ToArray())],
            [.. Matrices.Select(matrix => matrix.Scales.ToArray())],
            [Matrices[0].Vectors]);
    }

    public TestCodebook[] Matrices { get; }

    public CodebookStack Stack { get; }

    public void Dispose() => Array.ForEach(Matrices, matrix => matrix.Dispose());
}
