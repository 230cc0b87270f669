namespace MoeKernels.Models.Layers;

/// <summary>Cosines and sines of one position.</summary>
internal static unsafe class RopeAngles
{
    // π/2 as a double and the rest of it.
    private const double HalfPi = 1.5707963267948966;
    private const double HalfPiTail = 6.123233995736766e-17;

    /// <summary>Writes <c>scale cos(p f[i])</c>, then <c>scale sin(p f[i])</c>, the angles rounded to single precision
    /// as in transformers.</summary>
    /// <param name="frequencies">Radians per position, [pairs].</param>
    /// <param name="position">p.</param>
    /// <param name="scale">The attention factor.</param>
    /// <param name="target">[2 × pairs]; its first half may be the frequencies themselves.</param>
    public static void Compute(ReadOnlySpan<float> frequencies, int position, float scale, float* target)
    {
        int pairs = frequencies.Length;
        for (int i = 0; i < pairs; i++)
        {
            (double sin, double cos) = SinCos((float)position * frequencies[i]);
            target[i] = (float)cos * scale;
            target[pairs + i] = (float)sin * scale;
        }
    }

    /// <summary>Sine and cosine in double precision, of fused multiply-adds only: the C library's depend on the
    /// machine.</summary>
    /// <remarks>The polynomials are those of fdlibm, for arguments up to π/4.</remarks>
    internal static (double Sin, double Cos) SinCos(double x)
    {
        double quarter = Math.Round(x / HalfPi);
        double r = Math.FusedMultiplyAdd(-quarter, HalfPiTail, Math.FusedMultiplyAdd(-quarter, HalfPi, x));
        double z = r * r;
        double s = Math.FusedMultiplyAdd(1.58969099521155010221e-10, z, -2.50507602534068634195e-08);
        s = Math.FusedMultiplyAdd(s, z, 2.75573137070700676789e-06);
        s = Math.FusedMultiplyAdd(s, z, -1.98412698298579493134e-04);
        s = Math.FusedMultiplyAdd(s, z, 8.33333333332248946124e-03);
        s = Math.FusedMultiplyAdd(s, z, -1.66666666666666324348e-01);
        double sin = Math.FusedMultiplyAdd(s * z, r, r);
        double c = Math.FusedMultiplyAdd(-1.13596475577881948265e-11, z, 2.08757232129817482790e-09);
        c = Math.FusedMultiplyAdd(c, z, -2.75573143513906633035e-07);
        c = Math.FusedMultiplyAdd(c, z, 2.48015872894767294178e-05);
        c = Math.FusedMultiplyAdd(c, z, -1.38888888888741095749e-03);
        c = Math.FusedMultiplyAdd(c, z, 4.16666666666666019037e-02);
        double cos = Math.FusedMultiplyAdd(c * z, z, Math.FusedMultiplyAdd(z, -0.5, 1));
        return ((long)quarter & 3) switch
        {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
    }
}
