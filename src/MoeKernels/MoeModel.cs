using MoeKernels.Cpu;
using MoeKernels.Formats;
using MoeKernels.Generation;
using MoeKernels.Generation.Evaluation;
using MoeKernels.Models.Execution;
using MoeKernels.Models.Families;
using MoeKernels.Models.Loading;
using MoeKernels.Planning;
using MoeKernels.Text;

namespace MoeKernels;

/// <summary>A model loaded from a Hugging Face folder as it was downloaded. Immutable: any number of sessions on any
/// threads share it.</summary>
/// <remarks>Disposing it while sessions live frees the memory when the last of them is disposed.</remarks>
public sealed class MoeModel : IDisposable, IAsyncDisposable
{
    private const int DefaultContextLength = 4096;

    // More would leave the numbers that bytes are counted in.
    private const int MaxPlannedSessions = 100_000;

    private readonly SessionModel _model;
    private readonly Lifetime _lifetime;
    private readonly Lazy<ChatTemplate?> _chatTemplate;

    private MoeModel(
        Transformer transformer, WorkerPool pool, ModelParts parts, BackendInfo backend, int contextLength)
    {
        _lifetime = new Lifetime(this, () =>
        {
            transformer.Dispose();
            pool.Dispose();
        });
        Info = parts.Info;
        Tokenizer = parts.Tokenizer;
        _chatTemplate = parts.ChatTemplate;
        Backend = backend;
        _model = new SessionModel(
            Info.Path, transformer, pool, Tokenizer, parts.Defaults, contextLength, _lifetime.Share);
        Memory = Plan(Info, transformer.Description, contextLength, null, 1, pool.Threads);
    }

    /// <summary>What the folder holds.</summary>
    public ModelInfo Info { get; }

    /// <summary>What this model and one session take.</summary>
    public MemoryPlan Memory { get; }

    /// <summary>Where and how it runs.</summary>
    public BackendInfo Backend { get; }

    /// <summary>The folder's <c>tokenizer.json</c>; null when it has none.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>The folder's chat template, read when first asked for; null when it has none.</summary>
    /// <exception cref="MoeFormatException">The template is malformed.</exception>
    /// <exception cref="MoeUnsupportedException">The template uses something this library does not do.</exception>
    public ChatTemplate? ChatTemplate => _chatTemplate.Value;

    /// <summary>Loads a model folder.</summary>
    /// <param name="path">Folder with <c>config.json</c> and safetensors files, or one of QMoE's authors.</param>
    /// <param name="options">Context length, threads.</param>
    /// <param name="progress">Told the bytes read.</param>
    /// <param name="cancellationToken">Checked every 64 MiB and between layers; nothing stays behind.</param>
    /// <exception cref="MoeFormatException">A file is missing, damaged or contradicts another; names file and tensor or
    /// key.</exception>
    /// <exception cref="MoeUnsupportedException">The model needs something this library does not do; names
    /// it.</exception>
    /// <exception cref="MoeOutOfMemoryException">The memory is not there.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of range for any model or for this
    /// one.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public static async Task<MoeModel> LoadAsync(
        string path,
        MoeLoadOptions? options = null,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= new MoeLoadOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.Threads, nameof(options.Threads));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            options.Threads, MoeLoadOptions.MaxThreads, nameof(options.Threads));
        return await Task.Run(() => LoadCoreAsync(path, options, progress, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>Describes a model folder from its config and tensor headers; no weights are read.</summary>
    /// <inheritdoc cref="LoadAsync" path="/exception"/>
    public static ModelInfo Inspect(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        using var folder = QmoeFolder.OpenModel(path);
        return ModelInspector.Inspect(folder, FamilyRegistry.Describe(folder.Config));
    }

    /// <summary>Computes what a model takes, from its config and tensor headers.</summary>
    /// <param name="path">Model folder.</param>
    /// <param name="options">Context length and threads, as for loading.</param>
    /// <param name="hardware">Machine to plan for; null: this one.</param>
    /// <param name="sessions">Sessions side by side, at most 100,000.</param>
    /// <inheritdoc cref="LoadAsync" path="/exception"/>
    public static MemoryPlan Plan(
        string path, MoeLoadOptions? options = null, HardwareInfo? hardware = null, int sessions = 1)
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentOutOfRangeException.ThrowIfLessThan(sessions, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sessions, MaxPlannedSessions);
        options ??= new MoeLoadOptions();
        using var folder = QmoeFolder.OpenModel(path);
        var description = FamilyRegistry.Describe(folder.Config);
        var info = ModelInspector.Inspect(folder, description);
        int threads = options.Threads > 0 ? options.Threads : WorkerPool.DefaultThreads;
        int contextLength = ContextLength(options, info);
        MemoryPlan plan = Plan(info, description, contextLength, hardware, sessions, threads);
        return options.Device is { Kind: DeviceKind.Cuda } device
            ? plan with { OnDevice = DevicePlan.Of(info, description, device, contextLength, sessions) }
            : plan;
    }

    /// <summary>Starts a text.</summary>
    /// <exception cref="MoeOutOfMemoryException">The caches do not fit the memory.</exception>
    public MoeSession CreateSession(SessionOptions? options = null)
    {
        _lifetime.ThrowIfDisposed();
        return MoeSession.Create(_model, options ?? new SessionOptions());
    }

    /// <summary>Starts a conversation in the model's chat template.</summary>
    /// <exception cref="MoeUnsupportedException">The folder has no chat template or no tokenizer, or the model is an
    /// encoder-decoder.</exception>
    public MoeChat CreateChat(SessionOptions? options = null)
    {
        var template = ChatTemplate
            ?? throw new MoeUnsupportedException("chat with a model that has no chat template", Info.Path);
        var tokenizer = Tokenizer
            ?? throw new MoeUnsupportedException("chat with a model that has no tokenizer.json", Info.Path);
        if (Info.IsEncoderDecoder)
        {
            throw new MoeUnsupportedException("chat with an encoder-decoder model", Info.Path);
        }

        return new MoeChat(CreateSession(options), template, tokenizer);
    }

    /// <summary>Measures how well the model predicts texts.</summary>
    /// <param name="texts">Whole texts, in the order in which they are joined.</param>
    /// <param name="options">Window length and count.</param>
    /// <param name="reference">Adds the divergence from this model; must share the vocabulary.</param>
    /// <param name="progress">Told after each call.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <exception cref="ArgumentException">The texts are shorter than one window.</exception>
    /// <exception cref="MoeUnsupportedException">A model has no tokenizer, or the two have other vocabularies, or one
    /// alone has an encoder.</exception>
    /// <exception cref="MoeNonFiniteException">A text has no finite likelihood.</exception>
    /// <remarks>An encoder-decoder reads each window and is scored on writing it again.</remarks>
    public async Task<EvaluationResult> EvaluateAsync(
        IReadOnlyList<string> texts,
        EvaluationOptions? options = null,
        MoeModel? reference = null,
        IProgress<EvaluationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        _lifetime.ThrowIfDisposed();
        options ??= new EvaluationOptions();
        using var lease = _lifetime.Share();
        using var otherLease = reference?._lifetime.Share();
        return await Task.Run(
            () =>
            {
                using var evaluator = new Evaluator(_model, reference?._model, options);
                return evaluator.Run(Evaluator.Encode(_model, texts), options, progress, cancellationToken);
            },
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Scores tokens against a reference.</summary>
    internal EvaluationResult Evaluate(
        ReadOnlySpan<int> ids, EvaluationOptions options, MoeModel? reference,
        IProgress<EvaluationProgress>? progress, CancellationToken cancellationToken)
    {
        using var lease = _lifetime.Share();
        using var otherLease = reference?._lifetime.Share();
        using var evaluator = new Evaluator(_model, reference?._model, options);
        return evaluator.Run(ids, options, progress, cancellationToken);
    }

    /// <summary>Runs a batch in one forward call and returns the logits of every position, and on request hidden states
    /// and routing, for comparing engines and models.</summary>
    /// <param name="input">Token ids [B, T]; with padding mask and decoder ids where the model takes them.</param>
    /// <param name="hidden">Keep the residual stream before every block and after the last norm.</param>
    /// <param name="router">Keep the routers' inputs, logits, expert ids and weights.</param>
    /// <param name="cancellationToken">Checked between layers.</param>
    /// <returns>Tensors named <c>logits</c>, <c>hidden.{i}</c>, <c>router.{module}.logits</c> and so on.</returns>
    /// <exception cref="ArgumentException">The input does not suit the model.</exception>
    /// <exception cref="MoeUnsupportedException">A decoder-only batch is padded other than at its ends.</exception>
    public async Task<IReadOnlyList<RecordedTensor>> RecordAsync(
        ForwardInput input, bool hidden = false, bool router = false, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(input);
        _lifetime.ThrowIfDisposed();
        using var lease = _lifetime.Share();
        return await Task.Run(
            () => ForwardRecorder.Run(_model.Transformer, _model.Pool, input, hidden, router, cancellationToken),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the caller's use of the model.</summary>
    public void Dispose() => _lifetime.Dispose();

    /// <inheritdoc cref="Dispose"/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task<MoeModel> LoadCoreAsync(
        string path, MoeLoadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        if (QmoeFolder.IsCheckpoint(path))
            Packed.QmoeFiles.Verify(path, cancellationToken);
        var folder = QmoeFolder.OpenModel(path);
        ModelParts parts;
        int contextLength;
        ModelBackend backend;
        WorkerPool? pool = null;
        try
        {
            // Mistakes in options and environment come before the weights: they cost no loading and leak none.
            parts = ModelParts.Read(path, folder);
            contextLength = ContextLength(options, parts.Info);
            pool = new WorkerPool(options.Threads);
            backend = ModelBackend.Open(options, pool.Threads);
        }
        catch
        {
            pool?.Dispose();
            folder.Dispose();
            throw;
        }

        try
        {
            var transformer = await ModelLoader.LoadAsync(
                folder, options.ReadAhead, progress, options.Rotary == RotaryPrecision.BFloat16,
                options.ExactTernary, backend.Placement, cancellationToken).ConfigureAwait(false);
            return new MoeModel(transformer, pool, parts, backend.Describe(), contextLength);
        }
        catch
        {
            pool.Dispose();
            throw;
        }
    }

    private static MemoryPlan Plan(
        ModelInfo info,
        Models.Description.ModelDescription description,
        int contextLength,
        HardwareInfo? hardware,
        int sessions,
        int threads) => MemoryPlanner.Plan(
            info, description, hardware ?? HardwareInfo.Detect(), contextLength,
            new SessionOptions().PrefillChunk, sessions, threads);

    private static int ContextLength(MoeLoadOptions options, ModelInfo info)
    {
        int length = options.ContextLength ?? Math.Min(info.MaxContext, DefaultContextLength);
        if (length < 1 || length > info.MaxContext)
        {
            throw new ArgumentOutOfRangeException(
                nameof(options), length, $"The context length must lie between 1 and the model's {info.MaxContext}.");
        }

        return length;
    }
}
