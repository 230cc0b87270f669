using MoeKernels.Cpu;
using MoeKernels.Models.Execution;
using MoeKernels.Models.KvCache;
using MoeKernels.Models.Layers;
using MoeKernels.Router;

namespace MoeKernels.Compression;

/// <summary>Runs single layers of a stack over all calibration windows, some windows a call.</summary>
/// <remarks>Every layer sees its windows from empty contexts, so that states live for one call only.</remarks>
internal sealed unsafe class WindowRunner : IDisposable
{
    /// <summary>Tokens of a call: enough to keep the kernels busy, few enough for the caches.</summary>
    public const int CallTokens = 2048;

    private readonly Workspace _workspace;
    private readonly ForwardContext _context;

    /// <param name="pool">Threads.</param>
    /// <param name="windows">Windows of the stack.</param>
    /// <param name="isEncoder">Whether they are sources rather than decoder tokens.</param>
    /// <param name="scratchFloats">Floats that a layer takes at most for some rows.</param>
    /// <param name="cancellation">Checked before every call.</param>
    public WindowRunner(
        WorkerPool pool, CalibrationWindows windows, bool isEncoder, Func<int, long> scratchFloats,
        CancellationToken cancellation)
    {
        (Windows, IsEncoder) = (windows, isEncoder);
        PerCall = Math.Clamp(CallTokens / windows.Length, 1, windows.Count);
        _workspace = new Workspace(scratchFloats(PerCall * windows.Length));
        _context = new ForwardContext(pool, _workspace) { Cancellation = cancellation };
    }

    /// <summary>Windows of the stack.</summary>
    public CalibrationWindows Windows { get; }

    /// <summary>Tokens of all windows.</summary>
    public int Rows => Windows.Tokens.Length;

    /// <summary>Whether the windows are sources.</summary>
    public bool IsEncoder { get; }

    /// <summary>Threads.</summary>
    public WorkerPool Pool => _context.Pool;

    private int PerCall { get; }

    /// <summary>Looks the tokens up.</summary>
    public void Embed(StackInput input, IStateful? positions, TokenRows hidden) => ForEachCall(
        positions, null, null, first => input.Forward(
            _context, Windows.Tokens.AsSpan(first, _context.Batch.Rows), hidden.Row(first)));

    /// <summary>Computes <c>y = norm(x)</c>; y may be x.</summary>
    public void Normalize(NormLayer norm, TokenRows x, TokenRows y)
    {
        _context.Cancellation.ThrowIfCancellationRequested();
        norm.Forward(Pool, x.Data, y.Data, x.Rows);
    }

    /// <summary>Computes <c>y = layer(x)</c>.</summary>
    /// <param name="layer">The layer; it gets the first place among the states.</param>
    /// <param name="x">Normalised input.</param>
    /// <param name="y">Output before the residual is added.</param>
    /// <param name="encoded">The encoder's output for a <see cref="CrossAttentionLayer"/>; otherwise ignored.</param>
    public void Run(Layer layer, TokenRows x, TokenRows y, EncodedWindows? encoded) => ForEachCall(
        layer, layer as CrossAttentionLayer, encoded, first => layer.Forward(_context, x.Row(first), y.Row(first)));

    /// <summary>Routes all tokens.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="x">Normalised input.</param>
    /// <param name="ids">Receives [rows × k].</param>
    /// <param name="weights">Receives [rows × k], the output factor included.</param>
    public void Route(RoutedLayer layer, TokenRows x, Span<int> ids, Span<float> weights)
    {
        RouterSpec router = layer.Router;
        fixed (int* allIds = ids)
        fixed (float* allWeights = weights)
        {
            int* firstId = allIds;
            float* firstWeight = allWeights;
            ForEachCall(layer, null, null, first =>
            {
                nint choice = (nint)first * router.TopK;
                layer.Route(_context, x.Row(first), firstId + choice, firstWeight + choice);
                Vec.Scale(
                    firstWeight + choice, router.OutputFactor, firstWeight + choice, _context.Batch.Rows * router.TopK);
            });
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _workspace.Dispose();

    private void ForEachCall(
        IStateful? stateful, CrossAttentionLayer? reader, EncodedWindows? encoded, Action<int> call)
    {
        if (stateful is not null)
            stateful.StateIndex = 0;
        for (int window = 0; window < Windows.Count; window += PerCall)
        {
            _context.Cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(PerCall, Windows.Count - window);
            var states = new List<SequenceState>(count);
            try
            {
                for (int i = 0; i < count; i++)
                    states.Add(new SequenceState(States(stateful), Windows.Length));
                if (reader is not null)
                    Remember(reader, encoded!, window, states);
                Fill(states, Windows.Length, IsEncoder);
                call(window * Windows.Length);
            }
            finally
            {
                states.ForEach(state => state.Dispose());
            }
        }
    }

    private LayerState[] States(IStateful? stateful) =>
        stateful?.CreateState(Windows.Length) is { } state ? [state] : [];

    private void Remember(CrossAttentionLayer reader, EncodedWindows encoded, int window, List<SequenceState> states)
    {
        Fill(states, encoded.Length, sources: true);
        reader.Remember(_context, encoded.Output.Row(window * encoded.Length));
    }

    private void Fill(List<SequenceState> states, int length, bool sources)
    {
        _context.Batch.Clear();
        foreach (SequenceState state in states)
        {
            if (sources)
                _context.Batch.AddSource(state, SourceMask.All(length));
            else
                _context.Batch.Add(state, length);
        }
    }
}

/// <summary>What the encoder made of the sources that belong to a decoder's windows.</summary>
/// <param name="Output">[windows × length × hidden].</param>
/// <param name="Length">Tokens of a source.</param>
internal sealed record EncodedWindows(TokenRows Output, int Length);
