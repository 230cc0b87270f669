using System.Diagnostics;
using System.Runtime.CompilerServices;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>Projections <c>y = W x</c> with codebook matrices, from tables of the inputs.</summary>
/// <remarks>
/// A chunk's table values add up as integers, chunks as fused multiply-adds in ascending order, and the row's scale is
/// multiplied last: one token and many tokens, any instruction set and any thread count give the same bits.
/// </remarks>
internal static unsafe class CodebookLinear
{
    /// <summary>Tokens of a work item: their tables of a chunk stay in the second-level cache.</summary>
    private const int PanelTokens = 16;

    /// <summary>Sums on the worker's stack: 32 KiB.</summary>
    private const int MaxSums = 8192;

    private const int StripRows = CodebookShape.StripBlocks * CodebookShape.BlockRows;

    /// <summary>Multiplies one matrix with every token of the tables.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="w">W, [rows × columns].</param>
    /// <param name="tables">Tables of the tokens, built with the matrix's codebook.</param>
    /// <param name="y">Output, [tokens × rows].</param>
    /// <param name="yStride">Distance between two tokens of <paramref name="y"/> in elements.</param>
    public static void Forward(
        WorkerPool pool, in CodebookMatrix w, in CodebookTables tables, float* y, nint yStride)
    {
        CodebookPart part = new(w, y, yStride);
        Forward(pool, &part, 1, tables);
    }

    /// <summary>Multiplies several matrices with the same tables in one parallel region.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="parts">The matrices, all with the tables' columns, dimension and stages.</param>
    /// <param name="count">Number of matrices.</param>
    /// <param name="tables">Tables of the tokens.</param>
    public static void Forward(WorkerPool pool, CodebookPart* parts, int count, in CodebookTables tables)
    {
        Work work = new() { Parts = parts, Count = count, Tables = tables };
        int items = 0;
        for (int i = 0; i < count; i++)
        {
            Debug.Assert(parts[i].Weights.Shape.Entries == tables.Shape.Entries, "tables of another matrix");
            items += work.ItemsOf(parts[i]);
        }

        pool.Run(ref work, items);
    }

    /// <summary>Items of a part are its strips, once per panel of tokens, panels slowest.</summary>
    private struct Work : IWork
    {
        public CodebookPart* Parts;
        public CodebookTables Tables;
        public int Count;

        private readonly int Panels => (Tables.Tokens + PanelTokens - 1) / PanelTokens;

        public readonly int ItemsOf(in CodebookPart part) => part.Weights.Shape.Strips * Panels;

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this, Begin = begin, End = end };
            Simd.Run(ref kernel);
        }
    }

    private struct Kernel : IVecKernel
    {
        public Work Work;
        public int Begin, End;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            int first = 0;
            for (CodebookPart* part = Work.Parts; part < Work.Parts + Work.Count && first < End; part++)
            {
                int items = Work.ItemsOf(*part);
                int last = Math.Min(End - first, items);
                for (int item = Math.Max(Begin - first, 0); item < last;)
                    item += Run<T>(*part, item, last);
                first += items;
            }
        }

        /// <summary>Some strips in a row for one panel of tokens; returns how many.</summary>
        [SkipLocalsInit]
        private readonly int Run<T>(in CodebookPart part, int item, int end)
            where T : struct, IVec16<T>
        {
            CodebookShape shape = part.Weights.Shape;
            (int panel, int strip) = Math.DivRem(item, shape.Strips);
            int token = panel * PanelTokens;
            int tokens = Math.Min(PanelTokens, Work.Tables.Tokens - token);
            int strips = Math.Min(Math.Min(end - item, shape.Strips - strip), MaxSums / (StripRows * tokens));
            float* sums = stackalloc float[MaxSums];
            new Span<float>(sums, strips * StripRows * tokens).Clear();
            for (int chunk = 0; chunk < shape.Chunks; chunk++)
                AddChunk(part.Weights, chunk, strip, strips, token, tokens, sums);
            Store<T>(part, strip, strips, token, tokens, sums);
            return strips;
        }

        private readonly void AddChunk(
            in CodebookMatrix w, int chunk, int strip, int strips, int token, int tokens, float* sums)
        {
            LookupStrip lookup = new()
            {
                Codes = w.Codes + w.Shape.StripOffset(chunk, strip),
                Entries = w.Shape.EntriesOf(chunk),
                Tokens = tokens,
                Tables = Work.Tables.Table(chunk, token),
                TableStride = Work.Tables.TokenBytes(chunk),
                Steps = Work.Tables.Steps + ((long)chunk * Work.Tables.Tokens) + token,
                SumStride = strips * StripRows,
            };
            for (int i = 0; i < strips; i++)
            {
                lookup.Blocks = w.Shape.BlocksOf(strip + i);
                lookup.Sums = sums + (i * StripRows);
                Lookup.Add(lookup);
                lookup.Codes += lookup.Entries * lookup.Blocks * CodebookShape.BlockRows;
            }
        }

        private static void Store<T>(
            in CodebookPart part, int strip, int strips, int token, int tokens, float* sums)
            where T : struct, IVec16<T>
        {
            int row = strip * StripRows;
            int rows = Math.Min(strips * StripRows, part.Weights.Shape.Rows - row);
            for (int t = 0; t < tokens; t++)
            {
                float* y = part.Y + ((token + t) * part.YStride) + row;
                ScaleRows<T>(part.Weights.Scales + row, sums + (t * strips * StripRows), y, rows);
            }
        }

        /// <summary>Scales are padded like the sums, so that only the last store looks at the number of rows.</summary>
        private static void ScaleRows<T>(ushort* scales, float* sums, float* y, int rows)
            where T : struct, IVec16<T>
        {
            int i = 0;
            for (; i <= rows - 16; i += 16)
                T.Store(Widen<T>(scales + i) * T.Load(sums + i), y + i);
            if (i == rows)
                return;

            float* last = stackalloc float[16];
            T.Store(Widen<T>(scales + i) * T.Load(sums + i), last);
            new Span<float>(last, rows - i).CopyTo(new Span<float>(y + i, rows - i));
        }

        /// <summary>Widens half-precision numbers that are zero or positive and normal.</summary>
        private static T Widen<T>(ushort* scales)
            where T : struct, IVec16<T>
        {
            const int ExponentBias = (127 - 15) << 23;
            T bits = T.LoadUInt16(scales);
            T wide = T.AddBits(T.ShiftLeft(bits, 13), T.CreateBits(ExponentBias));
            return T.Select(T.EqualBits(bits, T.Zero), T.Zero, wide);
        }
    }
}
