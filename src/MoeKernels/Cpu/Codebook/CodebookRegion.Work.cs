namespace MoeKernels.Cpu;

internal static unsafe partial class CodebookRegion
{
    /// <summary>Most lookups taken at once: the strips whose sums of one token fit on the stack.</summary>
    private const int MaxRun = 32;

    /// <summary>Least lookups of one token taken at once: each run is a jump of the stream of codes.</summary>
    private const int MinRun = 8;

    /// <summary>An item is a worker: it works until the region is done.</summary>
    private struct Work : IWork
    {
        public CodebookInput* Inputs;
        public CodebookPart* Parts;
        public Progress* Progress;
        public LookupQueue Queue;
        public byte* Tables;
        public nint BytesPerWorker;
        public int InputCount, PartCount, Threads, Builds, Lookups;
        public bool OwnTables;

        public void Execute(int begin, int end, int worker)
        {
            Kernel kernel = new() { Work = this, Worker = worker };
            Simd.Run(ref kernel);
        }

        /// <summary>Takes some lookups of one part; false when there are none left.</summary>
        public readonly bool TakeLookups(int worker, out int begin, out int end)
        {
            while (Queue.TryPeek(worker, out begin, out end))
            {
                // Up to the end of a matrix, whose codes are one stream, but of long shares only half of what is left,
                // so that little is under way when others have nothing to do.
                int border = EndOfPart(begin, out int tokens);
                int least = Math.Min(end - begin, Math.Max(MinRun / tokens, 1));
                int most = Threads == 1 ? end - begin : Math.Max((end - begin) / 2, least);
                int take = Math.Min(Math.Min(most, MaxRun), border - begin);
                if (Queue.TryTake(worker, begin, end, take))
                {
                    end = begin + take;
                    return true;
                }
            }

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

        /// <summary>The first item of the part behind an item's, and the tokens of the item's part.</summary>
        private readonly int EndOfPart(int item, out int tokens)
        {
            int border = 0;
            tokens = 0;
            for (CodebookPart* part = Parts; border <= item; part++)
            {
                border += CodebookKernel.Items(*part);
                tokens = part->Tokens;
            }

            return border;
        }
    }
}
