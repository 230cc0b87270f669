using MoeKernels.Cpu;
using MoeKernels.Experts;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class AllocationTests
{
    [Fact]
    public void Kernels_AfterTheFirstCall_AllocateNothing()
    {
#if DEBUG
        Assert.Skip("Unoptimised code copies the coefficient tables of the elementwise kernels.");
#endif
        using WorkerPool pool = new(2);
        using TestMatrix gate = new(WeightFormat.BF16, 64, 64, 1), up = new(WeightFormat.MxFp4, 64, 64, 2);
        using NativeFloats x = new(CpuTests.Random(new Random(1), 20 * 64)), y = new(20 * 64), z = new(20 * 64);
        WeightMatrix* experts = stackalloc WeightMatrix[] { gate.View, up.View };
        int* offsets = stackalloc int[] { 0, 1, 20 };
        int* ranges = stackalloc int[] { 0, 0, 18, 19 };
        AttentionInput attention = new()
        {
            Q = x.Pointer,
            QStride = 64,
            QHeadStride = 32,
            K = x.Pointer,
            KStride = 64,
            KHeadStride = 32,
            V = x.Pointer,
            VStride = 64,
            VHeadStride = 32,
            Y = y.Pointer,
            YStride = 64,
            YHeadStride = 32,
            Rows = 2,
            Heads = 2,
            KvHeads = 2,
            KeyDim = 32,
            ValueDim = 32,
            First = ranges,
            Last = ranges + 2,
            Scale = 1,
        };
        long before = 0;
        for (int round = 0; round < 3; round++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            Linear.Forward(pool, gate.View, null, x.Pointer, 64, 1, y.Pointer, 64);
            Linear.Forward(pool, gate.View, null, x.Pointer, 64, 20, y.Pointer, 64);
            Linear.ForwardTransposed(pool, up.View, x.Pointer, 64, 20, y.Pointer, 64);
            GroupedGemm.GateUp(
                pool, Activation.SiluGated, experts, experts, null, null, 2, offsets, x.Pointer, 64, y.Pointer, 64);
            GroupedGemm.Down(pool, experts, null, 2, offsets, y.Pointer, 64, z.Pointer, 64);
            Attention.Forward(pool, attention);
            Norms.Rms(pool, x.Pointer, 64, null, 0, 1e-6f, y.Pointer, 64, 20, 64);
            Softmax.Row(x.Pointer, y.Pointer, 100);
            Activations.Tanh(x.Pointer, y.Pointer, 100);
            Vec.AddScaled(y.Pointer, x.Pointer, 1, 100);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }
}
