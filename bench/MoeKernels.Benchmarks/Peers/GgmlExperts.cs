using System.Runtime.InteropServices;

namespace MoeKernels.Benchmarks.Peers;

/// <summary>Graphs of llama.cpp's expert product over weights that we share with it: one projection, or the whole
/// feed-forward network of a layer.</summary>
internal sealed unsafe class GgmlExperts : IDisposable
{
    // Descriptions of a dozen tensors and two graphs of the default size.
    private const int ContextBytes = 4 << 20;

    private readonly nint _backend;
    private readonly nint _context;
    private readonly List<nint> _buffers = [];
    private readonly nint _hidden, _ids, _upProjection, _activated, _output, _up, _down, _all;

    /// <summary>Builds the graphs.</summary>
    /// <param name="problem">Shapes, weights, tokens and routing; kept alive by the caller.</param>
    /// <param name="threads">Threads of the backend.</param>
    public GgmlExperts(ExpertProblem problem, int threads)
    {
        _backend = Ggml.CreateCpuBackend();
        Ggml.SetThreads(_backend, threads);
        _context = Ggml.CreateContext(new Ggml.ContextParameters { Bytes = ContextBytes, WithoutData = 1 });
        nint gate = Weights(problem.GateWeights, ExpertProblem.Hidden, ExpertProblem.Intermediate);
        nint up = Weights(problem.UpWeights, ExpertProblem.Hidden, ExpertProblem.Intermediate);
        nint down = Weights(problem.DownWeights, ExpertProblem.Intermediate, ExpertProblem.Hidden);
        _hidden = Ggml.NewTensor(_context, Ggml.F32, ExpertProblem.Hidden, 1, problem.Tokens);
        _ids = Ggml.NewTensor(_context, Ggml.I32, ExpertProblem.TopK, problem.Tokens);
        _activated = Ggml.NewTensor(
            _context, Ggml.F32, ExpertProblem.Intermediate, ExpertProblem.TopK, problem.Tokens);
        _upProjection = Ggml.MulMatId(_context, up, _hidden, _ids);
        _up = Graph(_upProjection);
        _down = Graph(Ggml.MulMatId(_context, down, _activated, _ids));
        nint inner = Ggml.SwiGlu(
            _context, Ggml.MulMatId(_context, gate, _hidden, _ids), Ggml.MulMatId(_context, up, _hidden, _ids));
        _output = Ggml.MulMatId(_context, down, inner, _ids);
        _all = Graph(_output);
        _buffers.Add(Ggml.AllocateTensors(_context, _backend));
        Fill(problem);
    }

    /// <summary>hidden to intermediate, one matrix an expert.</summary>
    public void Up() => Compute(_up);

    /// <summary>intermediate to hidden.</summary>
    public void Down() => Compute(_down);

    /// <summary>gate, up, silu, product, down.</summary>
    public void All() => Compute(_all);

    /// <summary>Result of <see cref="Up"/>, [tokens × topK × intermediate].</summary>
    public float* UpResult => (float*)Ggml.Data(_upProjection);

    /// <summary>Result of <see cref="All"/>, [tokens × topK × hidden].</summary>
    public float* AllResult => (float*)Ggml.Data(_output);

    public void Dispose()
    {
        foreach (nint buffer in _buffers)
            Ggml.FreeBuffer(buffer);
        Ggml.FreeContext(_context);
        Ggml.FreeBackend(_backend);
    }

    private nint Weights(NativeBuffer memory, int columns, int rows)
    {
        nint tensor = Ggml.NewTensor(_context, Ggml.BF16, columns, rows, ExpertProblem.Experts);
        nint buffer = Ggml.WrapMemory(memory.Pointer, (nuint)memory.ByteLength);
        _buffers.Add(buffer);
        Check(Ggml.Place(buffer, tensor, memory.Pointer));
        return tensor;
    }

    private nint Graph(nint result)
    {
        nint graph = Ggml.NewGraph(_context);
        Ggml.AddToGraph(graph, result);
        return graph;
    }

    private void Fill(ExpertProblem problem)
    {
        Copy(problem.X, _hidden, (long)problem.Tokens * ExpertProblem.Hidden);
        int choices = problem.Tokens * ExpertProblem.TopK;
        NativeMemory.Copy(problem.Ids, (void*)Ggml.Data(_ids), (nuint)(choices * sizeof(int)));
        float* activated = (float*)Ggml.Data(_activated);
        new Span<float>(activated, choices * ExpertProblem.Intermediate).Fill(0.5f);
    }

    private static void Copy(float* source, nint tensor, long count) =>
        NativeMemory.Copy(source, (void*)Ggml.Data(tensor), (nuint)(count * sizeof(float)));

    private void Compute(nint graph) => Check(Ggml.Compute(_backend, graph));

    private static void Check(int status)
    {
        if (status != 0)
            throw new InvalidOperationException($"ggml answered with status {status}.");
    }
}
