using MoeKernels.Compression;
using MoeKernels.Formats;
using MoeKernels.Packed;
using MoeKernels.Tests.Formats;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Compression.Scalar;

public sealed unsafe class TernaryMatrixTests
{
    [Theory]
    [InlineData("a.t.d0.1", 0)]
    [InlineData("a.t.d0.1.act", 3)]
    [InlineData("b.t.d0.01", 1)]
    [InlineData("c.t.d0.0", 1)]
    public void Quantize_GoldenInputs_HoldsTheValuesOfTheCodes(string name, int expert)
    {
        GptqFixture golden = GptqFixture.Load(name);
        ScalarOptions options = golden.Options with { Bf16Levels = true };
        float[] weights = golden.Weights(expert);
        float[]? hessian = golden.Hessian(expert);
        var run = new ScalarRun(weights, golden.Rows, golden.Columns, hessian, options);
        fixed (float* w = weights, h = hessian)
        {
            using var scratch = new Scratch();
            using ScalarFactor factor = ScalarFactor.Create(h, golden.Columns, options, scratch);
            QmoeMatrix matrix = TernaryMatrix.Quantize(w, golden.Rows, factor, options, scratch, out double loss);
            Assert.Equal(run.Loss, loss);
            Assert.Equal(run.Values(), Array.ConvertAll(QmoeFixture.Decode(matrix), QmoeFixture.Widen));
        }
    }

    [Fact]
    public void Quantize_OptionsBeyondTheFormat_AreRefused()
    {
        using var scratch = new Scratch();
        float* weights = stackalloc float[4];
        ScalarOptions[] wrong =
        [
            ScalarOptions.Integers(2), ScalarOptions.Qmoe with { GroupSize = 2 },
            ScalarOptions.Qmoe with { Bf16Levels = false },
        ];
        foreach (ScalarOptions options in wrong)
        {
            using ScalarFactor factor = ScalarFactor.Create(null, 2, options, scratch);
            bool refused = false;
            try
            {
                TernaryMatrix.Quantize(weights, 2, factor, options, scratch, out _);
            }
            catch (ArgumentException)
            {
                refused = true;
            }

            Assert.True(refused);
        }
    }

    [Fact]
    public void Tensors_Written_AreReadAgain()
    {
        using var folder = new TempFolder();
        QmoeMatrix matrix = QmoeFixture.RandomMatrix(37, 61, 1);
        var writer = new SafetensorsWriter();
        QmoeTensors.Add(writer, "m", matrix);
        writer.Save(folder["model.safetensors"]);
        using Checkpoint checkpoint = Checkpoint.Open(folder.Path);
        Assert.Equal(["m"], QmoeTensors.Names(checkpoint));
        QmoeMatrix read = QmoeTensors.Read(checkpoint, "m", 37, 61);
        Assert.Equal(QmoeFixture.Decode(matrix), QmoeFixture.Decode(read));
        Assert.Throws<MoeFormatException>(() => QmoeTensors.Read(checkpoint, "m", 37, 63));
        Assert.Throws<MoeFormatException>(() => QmoeTensors.Read(checkpoint, "m", 36, 61));
        Assert.Throws<MoeFormatException>(() => QmoeTensors.Read(checkpoint, "n", 37, 61));
    }
}
