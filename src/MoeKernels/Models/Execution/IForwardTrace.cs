namespace MoeKernels.Models.Execution;

/// <summary>Receives intermediate results of a forward call under the names of the reference outputs
/// (<c>hidden.3</c>, <c>router.model.layers.0.mlp.gate.logits</c>). Spans are valid during the call only.</summary>
internal interface IForwardTrace
{
    bool WantsHidden { get; }

    bool WantsRouter { get; }

    /// <summary>Records [rows × columns] values; columns = 0 means a vector of rows.</summary>
    void Record(string name, ReadOnlySpan<float> values, int rows, int columns);

    /// <summary>Records [rows × columns] integers.</summary>
    void Record(string name, ReadOnlySpan<int> values, int rows, int columns);
}
