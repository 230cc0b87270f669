using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Execution;

/// <summary>The loaded parts of a <see cref="Transformer"/>.</summary>
/// <param name="Embedding">Token embedding of the decoder.</param>
/// <param name="Decoder">The decoder, or the only stack.</param>
/// <param name="Head">[vocabulary × hidden].</param>
/// <param name="Stateful">Layers that keep a state per sequence, in the order of their <see cref="Layer.StateIndex"/>.</param>
internal sealed record TransformerParts(TokenEmbedding Embedding, Stack Decoder, LinearWeights Head, Layer[] Stateful);
