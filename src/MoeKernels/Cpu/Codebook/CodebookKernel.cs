using System.Runtime.CompilerServices;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Looks up the codes of some strips of a <see cref="CodebookPart"/>: sums, scales, biases,
/// activation.</summary>
/// <remarks>
/// A chunk's table values add up as integers, chunks as fused multiply-adds in ascending order, then come the row's
/// scale, the bias and the activation: one token and many tokens, any instruction set and any thread count give the
/// same bits.
/// </remarks>
internal static unsafe class CodebookKernel
{
    /// <summary>Tokens of a work item: their tables of a chunk stay in the second-level cache.</summary>
    private const int PanelTokens = 16;

    /// <summary>Sums of a product on the worker's stack: 32 KiB.</summary>
    private const int MaxSums = 8192;

    private const int StripRows = CodebookShape.StripBlocks * CodebookShape.BlockRows;

    /// <summary>Work items of a part: its strips, once per panel of tokens, panels slowest.</summary>
    public static int Items(in CodebookPart part) =>
        part.Strips * ((part.Tokens + PanelTokens - 1) / PanelTokens);

    /// <summary>The first codes that an item reads.</summary>
    public static CodePiece Start(in CodebookPart part, int item) =>
        new(part.IsGated ? part.Gate.Weights : part.Main.Weights, 0, item % part.Strips);

    /// <summary>Computes the items [begin, end) of a part.</summary>
    /// <param name="part">The part.</param>
    /// <param name="begin">First item.</param>
    /// <param name="end">One past the last item.</param>
    /// <param name="tables">Memory of all tables.</param>
    /// <param name="after">What will be read after them.</param>
    public static void Execute<T>(in CodebookPart part, int begin, int end, byte* tables, CodePiece after)
        where T : struct, IVec16<T>
    {
        for (int item = begin; item < end;)
        {
            int next = item + Count(part, item, end);
            Run<T>(part, item, next - item, tables, next < end ? Start(part, next) : after);
            item = next;
        }
    }

    private static int PanelTokensOf(in CodebookPart part, int item) =>
        Math.Min(PanelTokens, part.Tokens - (item / part.Strips * PanelTokens));

    /// <summary>Strips that are multiplied together: neighbours whose sums fit.</summary>
    private static int Count(in CodebookPart part, int item, int end) => Math.Min(
        Math.Min(end - item, part.Strips - (item % part.Strips)),
        MaxSums / (StripRows * PanelTokensOf(part, item)));

    /// <summary>Some strips in a row for one panel of tokens.</summary>
    [SkipLocalsInit]
    private static void Run<T>(in CodebookPart part, int item, int strips, byte* tables, CodePiece after)
        where T : struct, IVec16<T>
    {
        (int panel, int strip) = Math.DivRem(item, part.Strips);
        int token = panel * PanelTokens;
        int tokens = PanelTokensOf(part, item);
        Block block = new(part.Main.Weights.Shape, strip, strips, token, tokens);
        float* sums = stackalloc float[MaxSums];
        if (part.IsGated)
        {
            float* gate = stackalloc float[MaxSums];
            Multiply<T>(part.Gate, block, tables, gate, new CodePiece(part.Main.Weights, 0, strip));
            Multiply<T>(part.Main, block, tables, sums, after);
            Activations.ApplyGated(*part.Activation, gate, sums, sums, block.Width * tokens);
        }
        else
        {
            Multiply<T>(part.Main, block, tables, sums, after);
            if (part.Activation != null)
                Activations.Apply(part.Activation->Kind, sums, sums, block.Width * tokens);
        }

        for (int t = 0; t < tokens; t++)
        {
            float* y = part.Y + ((token + t) * part.YStride) + block.Row;
            new Span<float>(sums + (t * block.Width), block.Rows).CopyTo(new Span<float>(y, block.Rows));
        }
    }

    /// <summary>Fills the block's values, [tokens × width].</summary>
    private static void Multiply<T>(
        in CodebookProduct product, in Block block, byte* memory, float* sums, CodePiece after)
        where T : struct, IVec16<T>
    {
        CodebookShape shape = product.Weights.Shape;
        CodebookTables tables = product.Input->Tables(memory);
        new Span<float>(sums, block.Width * block.Tokens).Clear();
        for (int chunk = 0; chunk < shape.Chunks; chunk++)
        {
            bool isLast = chunk == shape.Chunks - 1;
            CodePiece next = isLast ? after : new CodePiece(product.Weights, chunk + 1, block.Strip);
            AddChunk(product, block, tables, chunk, sums, next);
        }

        int padded = Math.Min(block.Width, shape.PaddedRows - block.Row);
        for (int t = 0; t < block.Tokens; t++)
        {
            float* values = sums + (t * block.Width);
            Scale<T>(product.Weights.Scales + block.Row, values, padded);
            for (int i = 0; product.Bias != null && i < block.Rows; i++)
                values[i] += product.Bias[block.Row + i];
        }
    }

    private static void AddChunk(
        in CodebookProduct product, in Block block, in CodebookTables tables, int chunk, float* sums, CodePiece after)
    {
        CodebookMatrix w = product.Weights;
        int first = product.First + (product.Rows == null ? block.Token : 0);
        LookupStrip lookup = new()
        {
            Codes = w.Codes + w.Shape.StripOffset(chunk, block.Strip),
            Entries = w.Shape.EntriesOf(chunk),
            Tokens = block.Tokens,
            Rows = product.Rows == null ? null : product.Rows + block.Token,
            Tables = tables.Table(chunk, first),
            TableStride = tables.Stride(chunk),
            Steps = tables.Step(chunk, first),
            SumStride = block.Width,
        };
        for (int i = 0; i < block.Strips; i++)
        {
            int strip = block.Strip + i;
            CodePiece next = i < block.Strips - 1 ? new CodePiece(w, chunk, strip + 1) : after;
            next.Announce();
            lookup.Blocks = w.Shape.BlocksOf(strip);
            lookup.Sums = sums + (i * StripRows);
            Lookup.Add(lookup);
            lookup.Codes += lookup.Entries * lookup.Blocks * CodebookShape.BlockRows;
        }
    }

    /// <summary>Multiplies sums with their rows' scales; blocks are padded, so there is no rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale<T>(ushort* scales, float* sums, int count)
        where T : struct, IVec16<T>
    {
        for (int i = 0; i < count; i += 16)
            T.Store(Widen<T>(scales + i) * T.Load(sums + i), sums + i);
    }

    /// <summary>Widens half-precision numbers that are zero or positive and normal.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T Widen<T>(ushort* scales)
        where T : struct, IVec16<T>
    {
        const int ExponentBias = (127 - 15) << 23;
        T bits = T.LoadUInt16(scales);
        T wide = T.AddBits(T.ShiftLeft(bits, 13), T.CreateBits(ExponentBias));
        return T.Select(T.EqualBits(bits, T.Zero), T.Zero, wide);
    }

    /// <summary>Some strips and some tokens.</summary>
    private readonly struct Block(CodebookShape shape, int strip, int strips, int token, int tokens)
    {
        public readonly int Strip = strip;
        public readonly int Strips = strips;
        public readonly int Token = token;
        public readonly int Tokens = tokens;

        /// <summary>First row.</summary>
        public readonly int Row = strip * StripRows;

        /// <summary>Rows without padding.</summary>
        public readonly int Rows = Math.Min(strips * StripRows, shape.Rows - (strip * StripRows));

        /// <summary>Sums of a token, with padding.</summary>
        public int Width => Strips * StripRows;
    }
}
