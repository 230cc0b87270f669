namespace MoeKernels.Models.Execution;

/// <summary>Keeps the encoder's output in the form that a decoder's cross attention reads, on the host or on a
/// device.</summary>
internal unsafe interface IEncoderReader
{
    /// <summary>Projects the encoder's output to keys and values and keeps them in each sequence.</summary>
    /// <param name="context">The encoder's batch.</param>
    /// <param name="encoded">The encoder's normalised output, [rows × hidden], in host memory.</param>
    void Remember(ForwardContext context, float* encoded);
}
