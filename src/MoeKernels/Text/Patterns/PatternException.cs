namespace MoeKernels.Text.Patterns;

/// <summary>A pattern is malformed; the loader adds the file and key.</summary>
internal sealed class PatternException(string message) : Exception(message);
