using MoeKernels.Planning;

namespace MoeKernels.Compression;

/// <summary>What compressing a model will take, as predicted before it starts.</summary>
public sealed record CompressPlan
{
    /// <summary>Measuring what each layer and kind of matrix is worth, in seconds.</summary>
    public required double AllocationSeconds { get; init; }

    /// <summary>Quantising, in seconds.</summary>
    public required double QuantizingSeconds { get; init; }

    /// <summary>Evaluating the result, in seconds.</summary>
    public required double EvaluationSeconds { get; init; }

    /// <summary>Coding and evaluating other methods (<see cref="CompressOptions.Compare"/>), in seconds.</summary>
    public required double ComparisonSeconds { get; init; }

    /// <summary>Reading texts and weights, writing and checksums, in seconds.</summary>
    public required double OtherSeconds { get; init; }

    /// <summary>All of it, in seconds.</summary>
    public double TotalSeconds =>
        AllocationSeconds + QuantizingSeconds + EvaluationSeconds + ComparisonSeconds + OtherSeconds;

    /// <summary>Memory while cells are measured, the process itself included; 0 where none are.</summary>
    public required long MeasuringBytes { get; init; }

    /// <summary>Memory while layers are coded, likewise.</summary>
    public required long CodingBytes { get; init; }

    /// <summary>Memory while the result is evaluated, likewise. Both models are mapped then, and what does not fit
    /// the machine is read again from the files.</summary>
    public required long EvaluatingBytes { get; init; }

    /// <summary>The most memory that will be resident at a time.</summary>
    public required long PeakBytes { get; init; }

    /// <summary>Memory that must be there: without pages of the files, which go back to the system when it is
    /// short.</summary>
    public required long NeededBytes { get; init; }

    /// <summary>Bytes of the weights that are written.</summary>
    public required long OutputBytes { get; init; }

    /// <summary>Calibration tokens that the texts give.</summary>
    public required int CalibrationTokens { get; init; }

    /// <summary>Worker threads.</summary>
    public required int Threads { get; init; }

    /// <summary>Seconds that trying the machine out took.</summary>
    public required double TrialSeconds { get; init; }

    /// <summary>The machine.</summary>
    public required HardwareInfo Hardware { get; init; }

    /// <summary>Whether <see cref="NeededBytes"/> fit the memory that is available.</summary>
    public bool Fits => NeededBytes <= Hardware.AvailableMemoryBytes;
}
