using MoeKernels.Formats;

namespace MoeKernels.Models.Execution;

/// <summary>One tensor of a recorded forward call: fp32 values, or int32 for ids.</summary>
/// <param name="Name">Name as the reference outputs have it.</param>
/// <param name="Shape">Extents, slowest axis first.</param>
/// <param name="Values">Row-major values; null for integers.</param>
/// <param name="Integers">Row-major integers; null for values.</param>
public sealed record RecordedTensor(string Name, long[] Shape, float[]? Values, int[]? Integers)
{
    /// <summary>Declares the tensor in a file that is to be written.</summary>
    /// <param name="writer">The file.</param>
    public void AddTo(SafetensorsWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        if (Integers is not null)
            writer.Add<int>(Name, ElementType.I32, Shape, Integers);
        else
            writer.Add(Name, Shape, Values);
    }
}
