using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Execution;

/// <summary>From token ids to the residual stream a stack starts from.</summary>
/// <param name="embedding">[vocabulary × hidden].</param>
/// <param name="positions">Null where positions act inside attention only.</param>
internal sealed unsafe class StackInput(TokenEmbedding embedding, SinusoidalPositions? positions)
{
    /// <summary>Writes the embedded rows of the batch to <paramref name="hidden"/>, [rows × hidden].</summary>
    public void Forward(ForwardContext context, ReadOnlySpan<int> tokens, float* hidden)
    {
        embedding.Forward(context.Pool, tokens, hidden);
        positions?.Add(context, tokens, hidden);
    }
}
