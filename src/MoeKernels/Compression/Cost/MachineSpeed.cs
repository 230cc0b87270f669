namespace MoeKernels.Compression;

/// <summary>What <see cref="SpeedTest"/> found out about a machine and the layers of a model.</summary>
internal sealed record MachineSpeed
{
    /// <summary>Worker threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Seconds over those of <see cref="CodingWork"/> for targets and moments, all workers busy.</summary>
    public required double Targets { get; init; }

    /// <summary>The same for choosing codes.</summary>
    public required double Codes { get; init; }

    /// <summary>The same for training, one worker busy.</summary>
    public required double Training { get; init; }

    /// <summary>Seconds of a worker for rounding one expert on a grid of scalars; 0 where nobody does.</summary>
    public double ScalarExpert { get; init; }

    /// <summary>Seconds a token and dense sublayer, encoder first: norm, layer and residual stream.</summary>
    public required IReadOnlyList<double> Dense { get; init; }

    /// <summary>The same with coded experts.</summary>
    public required IReadOnlyList<double> Coded { get; init; }

    /// <summary>Seconds a token for the head.</summary>
    public required double Head { get; init; }

    /// <summary>Seconds a token for comparing two rows of logits in an evaluation.</summary>
    public required double Comparison { get; init; }

    /// <summary>Seconds a byte for reading the model's files, from wherever they are now.</summary>
    public required double Reading { get; init; }
}
