namespace MoeKernels.Models.Layers;

/// <summary>The four matrices of an attention layer.</summary>
/// <param name="Query">[heads * head dim × hidden].</param>
/// <param name="Key">[heads * head dim × hidden].</param>
/// <param name="Value">[heads * head dim × hidden].</param>
/// <param name="Output">[hidden × heads * head dim].</param>
internal sealed record AttentionProjections(
    LinearWeights Query, LinearWeights Key, LinearWeights Value, LinearWeights Output);
