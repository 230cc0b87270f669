namespace MoeKernels.Models.Execution;

/// <summary>What an encoder-decoder has beyond its decoder.</summary>
/// <param name="Input">Embedding of the source.</param>
/// <param name="Stack">The encoder.</param>
/// <param name="Readers">What the decoder's cross attention keeps of the encoder's output.</param>
internal sealed record EncoderParts(StackInput Input, IStack Stack, IEncoderReader[] Readers);
