using MoeKernels.Formats;

namespace MoeKernels.Models.Loading;

/// <summary>What <c>quantization_config</c> says about the weights on disk.</summary>
/// <param name="BlockRows">Rows of a fp8 matrix that share a scale, where its scales are per block.</param>
/// <param name="BlockColumns">Columns that share a scale.</param>
internal readonly record struct StoredQuantization(int BlockRows, int BlockColumns)
{
    /// <summary>Reads the object, or what its absence means.</summary>
    /// <param name="config">The root of the config.</param>
    /// <exception cref="MoeFormatException">A block size is no pair of positive numbers.</exception>
    /// <exception cref="MoeUnsupportedException">The weights are stored in a way this library does not
    /// read.</exception>
    public static StoredQuantization Read(ConfigReader config)
    {
        if (config.OptionalObject("quantization_config") is not { } keys)
            return new StoredQuantization(128, 128);

        string method = keys.StringOr("fp8", "quant_method");
        if (method is not ("none" or "fp8" or "fbgemm_fp8" or "compressed-tensors" or "mxfp4"))
            throw keys.Unsupported("quant_method", $"weights quantised by '{method}'");

        // Of the formats of compressed-tensors these hold one tensor per matrix, fp8 or plain.
        string format = keys.StringOr("float-quantized", "format");
        if (method == "compressed-tensors" && format is not ("float-quantized" or "naive-quantized" or "dense"))
            throw keys.Unsupported("format", $"weights stored as '{format}'");

        int[] block = keys.OptionalIntArray("weight_block_size") ?? [128, 128];
        return block is [> 0, > 0]
            ? new StoredQuantization(block[0], block[1])
            : throw keys.Error("weight_block_size", "is not two positive numbers");
    }
}
