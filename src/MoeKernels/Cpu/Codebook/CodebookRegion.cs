using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MoeKernels.Cpu;

/// <summary>One parallel region that builds the tables of some inputs and looks up the codes of some matrices.</summary>
/// <remarks>
/// A worker takes its first run of lookups, helps to build tables until none is left, waits for those that others are
/// still building, and looks up. Whoever holds a table to build is building it, so nobody waits for a worker that
/// waits. Runs are half of an equal share of what is left, as in <see cref="WorkerPool"/>, but end with a matrix where
/// they can: the codes of a whole matrix are one stream.
/// </remarks>
internal static unsafe class CodebookRegion
{
    /// <summary>Most tables taken at once.</summary>
    private const int MaxBuildGrain = 16;

    /// <summary>Builds and looks up.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="inputs">Inputs that get tables.</param>
    /// <param name="inputCount">Number of inputs.</param>
    /// <param name="parts">Outputs; their tables are those of the inputs.</param>
    /// <param name="partCount">Number of outputs.</param>
    public static void Run(
        WorkerPool pool, CodebookInput* inputs, int inputCount, CodebookPart* parts, int partCount)
    {
        Progress progress = default;
        Work work = new()
        {
            Inputs = inputs,
            Parts = parts,
            PartCount = partCount,
            Threads = pool.Threads,
            Progress = &progress,
        };
        for (int i = 0; i < inputCount; i++)
            work.Builds += inputs[i].Items;
        for (int i = 0; i < partCount; i++)
            work.Lookups += CodebookKernel.Items(parts[i]);
        if (work.Lookups > 0)
            pool.Run(ref work, pool.Threads, maxGrain: 1);
    }

    /// <summary>Counters of a region, a cache line each.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 512)]
    private struct Progress
    {
        [FieldOffset(128)]
        public int NextBuild;

        [FieldOffset(256)]
        public int Built;

        [FieldOffset(384)]
        public int NextLookup;
    }

    /// <summary>An item is a worker: it works until the region is done.</summary>
    private struct Work : IWork
    {
        public CodebookInput* Inputs;
        public CodebookPart* Parts;
        public Progress* Progress;
        public int PartCount, Threads, Builds, Lookups;

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this };
            Simd.Run(ref kernel);
        }

        /// <summary>Takes a run of lookups; false when there is none left.</summary>
        public readonly bool TakeLookups(out int begin, out int end)
        {
            begin = Volatile.Read(ref Progress->NextLookup);
            while (begin < Lookups)
            {
                end = EndOfRun(begin);
                int seen = Interlocked.CompareExchange(ref Progress->NextLookup, end, begin);
                if (seen == begin)
                    return true;
                begin = seen;
            }

            end = begin;
            return false;
        }

        public readonly void BuildTables()
        {
            while (TakeBuilds(out int begin, out int end))
            {
                int first = 0;
                for (CodebookInput* input = Inputs; first < end; input++)
                {
                    int items = input->Items;
                    if (begin < first + items)
                        input->Build(Math.Max(begin - first, 0), Math.Min(end - first, items));
                    first += items;
                }

                Interlocked.Add(ref Progress->Built, end - begin);
            }
        }

        public readonly void AwaitTables()
        {
            SpinWait wait = default;
            while (Volatile.Read(ref Progress->Built) < Builds)
                wait.SpinOnce(sleep1Threshold: -1);
        }

        private readonly bool TakeBuilds(out int begin, out int end)
        {
            begin = Volatile.Read(ref Progress->NextBuild);
            while (begin < Builds)
            {
                end = begin + Math.Clamp((Builds - begin) / (4 * Threads), 1, MaxBuildGrain);
                int seen = Interlocked.CompareExchange(ref Progress->NextBuild, end, begin);
                if (seen == begin)
                    return true;
                begin = seen;
            }

            end = begin;
            return false;
        }

        private readonly int EndOfRun(int begin)
        {
            if (Threads == 1)
                return Lookups;
            int last = begin + Math.Max((Lookups - begin) / (2 * Threads), 1);
            int border = 0;
            for (CodebookPart* part = Parts; part < Parts + PartCount; part++)
            {
                int next = border + CodebookKernel.Items(*part);
                if (next > last)
                    break;
                border = next;
            }

            return border > begin ? border : last;
        }
    }

    private struct Kernel : IVecKernel
    {
        public Work Work;

        public readonly void Invoke<T>()
            where T : struct, IVec16<T>
        {
            bool any = Work.TakeLookups(out int begin, out int end);
            Work.BuildTables();
            if (!any)
                return;
            Work.AwaitTables();
            do
                LookUp<T>(begin, end);
            while (Work.TakeLookups(out begin, out end));
        }

        private readonly void LookUp<T>(int begin, int end)
            where T : struct, IVec16<T>
        {
            int first = 0;
            for (CodebookPart* part = Work.Parts; first < end; part++)
            {
                Debug.Assert(part < Work.Parts + Work.PartCount, "items without a part");
                int items = CodebookKernel.Items(*part);
                if (begin < first + items)
                    CodebookKernel.Execute<T>(*part, Math.Max(begin - first, 0), Math.Min(end - first, items));
                first += items;
            }
        }
    }
}
