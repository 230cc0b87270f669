using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MoeKernels.Cpu;

/// <summary>One parallel region that builds the tables of some inputs and looks up the codes of some
/// matrices.</summary>
/// <remarks>
/// Lookups are dealt out by <see cref="LookupQueue"/>. With few inputs every worker builds what its lookups need in
/// memory of its own, because fetching tables from another core's cache costs as much as building them. With many, a
/// worker helps to build until no table is left and waits for those that others are still building; whoever holds
/// a table to build is building it, so nobody waits for a worker that waits.
/// </remarks>
internal static unsafe partial class CodebookRegion
{
    /// <summary>Most bytes of tables that each worker builds for itself: half of a second-level cache.</summary>
    private const long OwnTableBytes = 512 << 10;

    /// <summary>Inputs whose tables a worker may have built for itself.</summary>
    private const int MaxOwnInputs = 1024;

    /// <summary>Most tables taken at once.</summary>
    private const int MaxBuildGrain = 16;

    /// <summary>Most memory that regions with up to so many bytes of tables take.</summary>
    /// <param name="bytes">Bytes of all tables of the largest region.</param>
    /// <param name="threads">Threads of the pool.</param>
    public static long MaxTableBytes(long bytes, int threads) =>
        Math.Max(bytes, Math.Min(bytes, OwnTableBytes) * threads);

    /// <summary>Builds and looks up.</summary>
    /// <param name="pool">Threads to use.</param>
    /// <param name="inputs">Inputs that get tables; their offsets are set here.</param>
    /// <param name="inputCount">Number of inputs.</param>
    /// <param name="parts">Outputs, products of these inputs.</param>
    /// <param name="partCount">Number of outputs.</param>
    public static void Run(
        WorkerPool pool, CodebookInput* inputs, int inputCount, CodebookPart* parts, int partCount)
    {
        Progress progress = default;
        Work work = new()
        {
            Inputs = inputs,
            Parts = parts,
            InputCount = inputCount,
            PartCount = partCount,
            Threads = pool.Threads,
            Progress = &progress,
        };
        long bytes = 0;
        for (int i = 0; i < inputCount; i++)
        {
            inputs[i].Offset = (nint)bytes;
            bytes += CodebookTables.ByteCount(inputs[i].Shape, inputs[i].Count);
            work.Builds += inputs[i].Items;
        }

        for (int i = 0; i < partCount; i++)
            work.Lookups += CodebookKernel.Items(parts[i]);
        if (work.Lookups == 0)
            return;

        work.OwnTables = bytes <= OwnTableBytes && inputCount <= MaxOwnInputs;
        work.BytesPerWorker = work.OwnTables ? (nint)bytes : 0;
        long tableBytes = work.OwnTables ? bytes * pool.Threads : bytes;
        using ScratchPool.Lease memory = pool.Rent(tableBytes + LookupQueue.ByteCount(pool.Threads));
        work.Tables = memory.Pointer;
        work.Queue = new LookupQueue(memory.Pointer + tableBytes, pool.Threads, work.Lookups);
        pool.Run(ref work, pool.Threads, maxGrain: 1);
    }

    /// <summary>Counters of a region, a cache line each.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 384)]
    private struct Progress
    {
        [FieldOffset(128)]
        public int NextBuild;

        [FieldOffset(256)]
        public int Built;
    }

    private struct Kernel : IVecKernel
    {
        public Work Work;
        public int Worker;
        private byte* _tables;
        private bool* _isBuilt;

        [SkipLocalsInit]
        public void Invoke<T>()
            where T : struct, IVec16<T>
        {
            bool any = Work.TakeLookups(Worker, out int begin, out int end);
            if (any)
                Work.Start(begin).Announce();
            bool* isBuilt = stackalloc bool[MaxOwnInputs];
            _tables = Work.Tables + (Worker * Work.BytesPerWorker);
            if (Work.OwnTables)
            {
                new Span<bool>(isBuilt, Work.InputCount).Clear();
                _isBuilt = isBuilt;
            }
            else
            {
                Work.BuildTables();
                if (any)
                    Work.AwaitTables();
            }

            for (; any; any = Work.TakeLookups(Worker, out begin, out end))
                LookUp<T>(begin, end);
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
                {
                    Prepare(part->Main);
                    if (part->IsGated)
                        Prepare(part->Gate);

                    // Where this run ends, the next one most likely goes on.
                    int last = Math.Min(end - first, items);
                    CodebookKernel.Execute<T>(
                        *part, Math.Max(begin - first, 0), last, _tables, Work.Start(first + last));
                }

                first += items;
            }
        }

        /// <summary>Builds the worker's own tables of a product, once.</summary>
        private readonly void Prepare(in CodebookProduct product)
        {
            long index = product.Input - Work.Inputs;
            if (!Work.OwnTables || _isBuilt[index])
                return;
            product.Input->Build(0, product.Input->Items, _tables);
            _isBuilt[index] = true;
        }
    }
}
