using MoeKernels.Packed;

namespace MoeKernels.Compression;

/// <summary>Codes and scales of a matrix: <c>w[r,k] = scale[r] * Σ ± vectors[k] * inputScale[k]</c>.</summary>
/// <param name="Shape">Sizes.</param>
/// <param name="Codes">[rows × groups × stages], what <see cref="CodebookMatrix.Pack"/> takes.</param>
/// <param name="Scales">Half-precision bits, [padded rows].</param>
/// <param name="Error">Mean square error of the outputs, <c>Σ_r (w - q) H (w - q)ᵀ</c>.</param>
/// <param name="Energy">Mean square of the outputs wanted, <c>Σ_r w H wᵀ</c>.</param>
internal sealed record QuantizedMatrix(
    CodebookShape Shape, byte[] Codes, ushort[] Scales, double Error, double Energy);
