using MoeKernels.Models.Layers;

namespace MoeKernels.Models.Execution;

/// <summary>The loaded parts of a <see cref="Transformer"/>.</summary>
/// <param name="Input">Embedding of the decoder's tokens.</param>
/// <param name="Decoder">The decoder, or the only stack.</param>
/// <param name="Head">[vocabulary × hidden].</param>
/// <param name="Stateful">Parts that keep a state per sequence, in the order of their
/// <see cref="IStateful.StateIndex"/>.</param>
/// <param name="Encoder">Null for decoder-only models.</param>
internal sealed record TransformerParts(
    StackInput Input, IStack Decoder, IHead Head, IStateful[] Stateful, EncoderParts? Encoder);
