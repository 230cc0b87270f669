namespace MoeKernels;

/// <summary>Precision of the rotary frequencies (<c>inv_freq</c>).</summary>
public enum RotaryPrecision
{
    /// <summary>fp32, as an engine has them that loads the checkpoint.</summary>
    Single,

    /// <summary>Rounded to bf16, as a model has them that was cast as a whole (<c>model.to(bfloat16)</c>), buffers
    /// included. Only for comparing with outputs that were made that way: it blurs long distances.</summary>
    BFloat16,
}

/// <summary>Precision of activations on a device.</summary>
public enum ActivationPrecision
{
    /// <summary>fp32 from end to end: what the CPU computes, to rounding.</summary>
    Single,

    /// <summary>bf16 in and out of every product, with sums in fp32: tensor cores. Norms, attention, the residual
    /// stream and T5's queries and keys (its scores are not scaled) stay fp32.</summary>
    BFloat16,
}

/// <summary>How a model is loaded.</summary>
public sealed record MoeLoadOptions
{
    /// <summary>Most worker threads.</summary>
    public const int MaxThreads = Cpu.WorkerPool.MaxThreads;

    /// <summary>Where the model runs; null: the environment variable MOEK_DEVICE, else
    /// <see cref="Device.Auto"/>.</summary>
    public Device? Device { get; init; }

    /// <summary>Whether loading fails where <see cref="Device"/> cannot be used. Otherwise the model runs on the CPU,
    /// and <see cref="MoeModel.Backend"/> says why.</summary>
    public bool RequireDevice { get; init; }

    /// <summary>Precision of activations on a device; the CPU's kernels have their own.</summary>
    public ActivationPrecision DeviceActivations { get; init; }

    /// <summary>Context of sessions that do not ask for one; null: what the model allows, at most 4096.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Worker threads, at most <see cref="MaxThreads"/>; 0: the environment variable MOEK_THREADS, else all
    /// processors.</summary>
    public int Threads { get; init; }

    /// <summary>Precision of the rotary frequencies.</summary>
    public RotaryPrecision Rotary { get; init; }

    /// <summary>
    /// Whether QMoE's ternary matrices are unpacked to bf16: sixteen times their memory, and slower. By default they
    /// run as packed tiles, whose kernels round activations to 8 bits. For comparing with dense models.
    /// </summary>
    public bool ExactTernary { get; init; }

    /// <summary>Whether all weights are read before loading returns. Otherwise the operating system reads them when
    /// they are first used: loading is instant and the first tokens are slow.</summary>
    public bool ReadAhead { get; init; } = true;
}
