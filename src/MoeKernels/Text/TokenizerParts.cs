using MoeKernels.Text.Decoders;
using MoeKernels.Text.PostProcessors;
using MoeKernels.Text.PreTokenizers;
using MoeKernels.Text.TokenModels;

namespace MoeKernels.Text;

/// <summary>The steps of a tokenizer as its file lists them; a missing step is null.</summary>
/// <remarks>The normalizer is a part of <see cref="AddedTokens"/>, whose contents it normalizes, too.</remarks>
internal sealed record TokenizerParts(ITokenModel Model, AddedTokens Added)
{
    /// <summary>Cuts text into words.</summary>
    public IPreTokenizer? PreTokenizer { get; init; }

    /// <summary>Adds special tokens.</summary>
    public IPostProcessor? PostProcessor { get; init; }

    /// <summary>Tokens to text; without one, tokens are joined with spaces.</summary>
    public IDecoder? Decoder { get; init; }

    public TruncationOptions? Truncation { get; init; }

    public PaddingOptions? Padding { get; init; }

    public TokenizerConfig Config { get; init; } = new();
}

/// <summary>What this library takes from <c>tokenizer_config.json</c>.</summary>
internal sealed record TokenizerConfig
{
    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    public string? PadToken { get; init; }

    /// <summary><c>clean_up_tokenization_spaces</c>.</summary>
    public bool CleanUp { get; init; }
}
