using System.Runtime.InteropServices;
using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class WorkerPoolTests
{
    [Theory]
    [InlineData("3", 3)]
    [InlineData("1024", 1024)]
    public void FromEnvironment_Number_IsTaken(string value, int threads) =>
        Assert.Equal(threads, WorkerPool.FromEnvironment(value));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0")]
    public void FromEnvironment_Nothing_MeansAllProcessors(string? value) =>
        Assert.Equal(Environment.ProcessorCount, WorkerPool.FromEnvironment(value));

    [Theory]
    [InlineData("all")]
    [InlineData("-1")]
    [InlineData("1025")]
    [InlineData("99999999999")]
    public void FromEnvironment_NoNumberOfThreads_IsRefused(string value)
    {
        var error = Assert.Throws<MoeUnsupportedException>(() => WorkerPool.FromEnvironment(value));
        Assert.Contains($"MOEK_THREADS={value}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Run_ManyRuns_ExecutesEveryItemOnce(int threads)
    {
        using WorkerPool pool = new(threads);
        for (int items = 0; items < 300; items++)
        {
            int[] counts = new int[items + 1];
            fixed (int* p = counts)
            {
                CountWork work = new() { Counts = p, Threads = threads };
                pool.Run(ref work, items);
            }

            Assert.All(counts[..items], count => Assert.Equal(1, count));
            Assert.Equal(0, counts[items]);
        }
    }

    [Fact]
    public void Run_AfterTheHelpersSleep_WakesThem()
    {
        using WorkerPool pool = new(3);
        for (int round = 0; round < 5; round++)
        {
            Thread.Sleep(20);
            int[] counts = new int[64];
            fixed (int* p = counts)
            {
                CountWork work = new() { Counts = p, Threads = 3 };
                pool.Run(ref work, 64);
            }

            Assert.All(counts, count => Assert.Equal(1, count));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Run_ItemThrows_ReachesTheCallerAndThePoolGoesOn(int threads)
    {
        using WorkerPool pool = new(threads);
        for (int round = 0; round < 20; round++)
        {
            FailingWork failing = new() { Item = round * 5 };
            MoeNonFiniteException e = Assert.Throws<MoeNonFiniteException>(() => pool.Run(ref failing, 100));
            Assert.Equal("item", e.Step);
            int[] counts = new int[100];
            fixed (int* p = counts)
            {
                CountWork work = new() { Counts = p, Threads = threads };
                pool.Run(ref work, 100);
            }

            Assert.All(counts, count => Assert.Equal(1, count));
        }
    }

    [Fact]
    public void Run_SeveralCallersAtOnce_AllFinish()
    {
        using WorkerPool pool = new(2);
        Thread[] callers = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() => CountMany(pool)))];
        foreach (Thread caller in callers)
            caller.Start();
        foreach (Thread caller in callers)
            caller.Join();
    }

    [Fact]
    public void Run_FromInsideAnItem_RunsInline()
    {
        using WorkerPool pool = new(2);
        GCHandle handle = GCHandle.Alloc(pool);
        int total = 0;
        NestedWork work = new() { Pool = GCHandle.ToIntPtr(handle), Total = &total };
        pool.Run(ref work, 10);
        handle.Free();
        Assert.Equal(100, total);
    }

    [Fact]
    public void Run_Steady_AllocatesNothing()
    {
        using WorkerPool pool = new(2);
        int total = 0;
        AddWork work = new() { Total = &total };
        for (int i = 0; i < 100; i++)
            pool.Run(ref work, 1000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            pool.Run(ref work, 1000);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Constructor_NegativeThreads_Throws() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new WorkerPool(-1));

    [Fact]
    public void FromEnvironment_Names_SelectALevelOrAreRefused()
    {
        Assert.Equal(Simd.Best, Simd.FromEnvironment(null));
        Assert.Equal(SimdLevel.Software, Simd.FromEnvironment("software"));
        Assert.Equal(SimdLevel.V128, Simd.FromEnvironment("128"));
        Assert.Throws<MoeUnsupportedException>(() => Simd.FromEnvironment("1024"));
    }

    private static void CountMany(WorkerPool pool)
    {
        int* counts = (int*)NativeMemory.AllocZeroed(50, sizeof(int));
        for (int round = 1; round <= 200; round++)
        {
            CountWork work = new() { Counts = counts, Threads = 2 };
            pool.Run(ref work, 50);
            for (int i = 0; i < 50; i++)
                Assert.Equal(round, counts[i]);
        }

        NativeMemory.Free(counts);
    }

    private struct CountWork : IWork
    {
        public int* Counts;
        public int Threads;

        public readonly void Execute(int begin, int end, int worker)
        {
            Assert.InRange(worker, 0, Threads - 1);
            for (int i = begin; i < end; i++)
                Interlocked.Increment(ref Counts[i]);
        }
    }

    private struct FailingWork : IWork
    {
        public int Item;

        public readonly void Execute(int begin, int end, int worker)
        {
            if (begin <= Item && Item < end)
                throw new MoeNonFiniteException("item", "is broken");
        }
    }

    private struct NestedWork : IWork
    {
        public nint Pool;
        public int* Total;

        public readonly void Execute(int begin, int end, int worker)
        {
            WorkerPool pool = (WorkerPool)GCHandle.FromIntPtr(Pool).Target!;
            for (int i = begin; i < end; i++)
            {
                AddWork work = new() { Total = Total };
                pool.Run(ref work, 10);
            }
        }
    }

    private struct AddWork : IWork
    {
        public int* Total;

        public readonly void Execute(int begin, int end, int worker) => Interlocked.Add(ref *Total, end - begin);
    }
}
