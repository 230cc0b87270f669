namespace MoeKernels.Cpu;

internal static unsafe partial class CodebookRegion
{
    /// <summary>An item is a worker: it works until the region is done.</summary>
    private struct Work : IWork
    {
        public CodebookInput* Inputs;
        public CodebookPart* Parts;
        public Progress* Progress;
        public byte* Tables;
        public nint BytesPerWorker;
        public int InputCount, PartCount, Threads, Builds, Lookups;
        public bool OwnTables;

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this, Worker = worker };
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

        /// <summary>Builds tables of all workers until none is left to take.</summary>
        public readonly void BuildTables()
        {
            while (TakeBuilds(out int begin, out int end))
            {
                int first = 0;
                for (CodebookInput* input = Inputs; first < end; input++)
                {
                    int items = input->Items;
                    if (begin < first + items)
                        input->Build(Math.Max(begin - first, 0), Math.Min(end - first, items), Tables);
                    first += items;
                }

                Interlocked.Add(ref Progress->Built, end - begin);
            }
        }

        /// <summary>Waits until all tables are built.</summary>
        public readonly void AwaitTables()
        {
            SpinWait wait = default;
            while (Volatile.Read(ref Progress->Built) < Builds)
                wait.SpinOnce(sleep1Threshold: -1);
        }

        /// <summary>The first codes that an item reads; nothing behind the last item.</summary>
        public readonly CodePiece Start(int item)
        {
            for (CodebookPart* part = Parts; part < Parts + PartCount; part++)
            {
                int items = CodebookKernel.Items(*part);
                if (item < items)
                    return CodebookKernel.Start(*part, item);
                item -= items;
            }

            return default;
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
}
