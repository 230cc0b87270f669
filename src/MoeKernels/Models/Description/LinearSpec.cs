namespace MoeKernels.Models.Description;

/// <summary>Whether a linear layer adds a bias.</summary>
internal enum BiasRule
{
    None,
    Required,

    /// <summary>Added when the file has it: for families whose configs do not say.</summary>
    WhenPresent,
}

/// <summary><c>y = W x (+ b)</c>: module name, [outputs × inputs] and whether there is a bias.</summary>
/// <param name="Module">Name without <c>.weight</c> and <c>.bias</c>.</param>
/// <param name="Outputs">Rows of the weight.</param>
/// <param name="Inputs">Columns of the weight.</param>
/// <param name="Bias">Whether <c>Module.bias</c> [outputs] exists.</param>
internal sealed record LinearSpec(TensorName Module, int Outputs, int Inputs, BiasRule Bias = BiasRule.None)
{
    public TensorName Weight => Module.With(".weight");
}
