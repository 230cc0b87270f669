using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Projections <c>y = W x + b</c> with codebook matrices, by table lookup.</summary>
internal static unsafe class CodebookLinear
{
    /// <summary>Whether one of the parts is a codebook matrix.</summary>
    public static bool Any(LinearPart* parts, int count)
    {
        for (int i = 0; i < count; i++)
        {
            if (parts[i].Weights.Format == WeightFormat.Codebook)
                return true;
        }

        return false;
    }

    /// <summary>Lists the other parts, in their order, and returns how many they are.</summary>
    public static int Others(LinearPart* parts, int count, LinearPart* others)
    {
        int found = 0;
        for (int i = 0; i < count; i++)
        {
            if (parts[i].Weights.Format != WeightFormat.Codebook)
                others[found++] = parts[i];
        }

        return found;
    }

    /// <summary>Multiplies the codebook matrices among the parts; the others are left to the caller.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="parts">Matrices of any format, all with the same number of columns.</param>
    /// <param name="count">Number of matrices.</param>
    /// <param name="x">Input, [tokens × columns].</param>
    /// <param name="xStride">Distance between two tokens of <paramref name="x"/> in elements.</param>
    /// <param name="tokens">Number of tokens, 0 allowed.</param>
    public static void Forward(WorkerPool pool, LinearPart* parts, int count, float* x, nint xStride, int tokens)
    {
        CodebookInput* inputs = stackalloc CodebookInput[count];
        CodebookPart* own = stackalloc CodebookPart[count];
        int inputCount = 0;
        for (int i = 0; i < count; i++)
        {
            WeightMatrix w = parts[i].Weights;
            if (w.Format == WeightFormat.Codebook && Find(inputs, inputCount, w.Vectors) == inputCount)
            {
                inputs[inputCount++] =
                    new CodebookInput { Vectors = w.Vectors, Shape = w.CodebookShape, XStride = xStride };
            }
        }

        long bytes = 0;
        for (int i = 0; i < inputCount; i++)
            bytes += CodebookTables.ByteCount(inputs[i].Shape, 1);
        int panel = TablePanels.Rows(bytes, tokens, TablePanels.SmallBudget);
        for (int token = 0; token < tokens; token += panel)
        {
            int panelTokens = Math.Min(panel, tokens - token);
            for (int i = 0; i < inputCount; i++)
            {
                inputs[i].X = x + (token * xStride);
                inputs[i].Count = panelTokens;
            }

            int ownCount = 0;
            for (int i = 0; i < count; i++)
            {
                if (parts[i].Weights.Format == WeightFormat.Codebook)
                    own[ownCount++] = Part(parts[i], inputs, inputCount, token, panelTokens);
            }

            CodebookRegion.Run(pool, inputs, inputCount, own, ownCount);
        }
    }

    private static CodebookPart Part(
        in LinearPart part, CodebookInput* inputs, int inputCount, int token, int tokens) => new()
        {
            Main = new CodebookProduct
            {
                Weights = CodebookMatrix.Of(part.Weights),
                Bias = part.Bias,
                Input = inputs + Find(inputs, inputCount, part.Weights.Vectors),
            },
            Tokens = tokens,
            Y = part.Y + (token * part.YStride),
            YStride = part.YStride,
        };

    /// <summary>The input with a codebook, or the count.</summary>
    private static int Find(CodebookInput* inputs, int count, CodebookVectors* vectors)
    {
        int i = 0;
        while (i < count && inputs[i].Vectors != vectors)
            i++;
        return i;
    }
}
