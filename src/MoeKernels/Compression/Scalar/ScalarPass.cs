using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace MoeKernels.Compression;

/// <summary>One run of GPTQ over a matrix that is kept as [columns, rows] in the order of rounding.</summary>
internal unsafe ref struct ScalarPass
{
    /// <summary>Rows handled at once; the pitch is a multiple of it.</summary>
    public const int Lanes = 16;

    private readonly ScalarOptions _options;
    private readonly ScalarFactor _factor;
    private readonly int _columns, _rows, _pitch, _block;

    /// <summary>[columns, pitch]; rows behind the last are zero.</summary>
    private readonly float* _weights;

    /// <summary>[block, pitch] errors of the block's columns.</summary>
    private readonly float* _errors;

    /// <summary>[pitch] of the current group.</summary>
    private readonly float* _scale, _zero;

    /// <summary>[block, pitch].</summary>
    private readonly byte* _codes;

    /// <summary>Lays the arrays out in zeroed memory.</summary>
    public ScalarPass(ScalarOptions options, ScalarFactor factor, int rows, int pitch, int block, float* memory)
    {
        (_options, _factor, _columns) = (options, factor, factor.Columns);
        (_rows, _pitch, _block) = (rows, pitch, block);
        _weights = memory;
        _errors = _weights + ((nint)pitch * _columns);
        _scale = _errors + ((nint)pitch * block);
        _zero = _scale + pitch;
        _codes = (byte*)(_zero + pitch);
    }

    /// <summary>Output [rows, columns].</summary>
    public byte* Codes { get; init; }

    /// <summary>Output [rows, groups].</summary>
    public float* Scales { get; init; }

    /// <summary>Output [rows, groups].</summary>
    public float* Zeros { get; init; }

    /// <summary>Floats that the constructor lays out.</summary>
    public static long MemoryFloats(int columns, int pitch, int block) =>
        (pitch * ((long)columns + block + 2)) + ((long)pitch * block / sizeof(float)) + 1;

    /// <summary>Copies the weights [rows, columns].</summary>
    public readonly void Take(float* weights)
    {
        ReadOnlySpan<int> order = _factor.Order;
        for (int row = 0; row < _rows; row++)
        {
            float* source = weights + ((nint)row * _columns);
            float* target = _weights + row;
            for (int step = 0; step < _columns; step++)
                target[(nint)step * _pitch] = source[order[step]];
        }
    }

    /// <summary>Rounds all columns; returns the loss.</summary>
    public readonly double Run(Scratch scratch)
    {
        double loss = 0;
        int size = _options.GroupSize == ScalarOptions.WholeRow ? _columns : _options.GroupSize;
        for (int first = 0; first < _columns; first += _block)
        {
            int end = Math.Min(first + _block, _columns);

            // Before the block's own errors reach them, as QMoE does.
            for (int step = (first + size - 1) / size * size; step < end; step += size)
                FitGroup(step, Math.Min(size, _columns - step), step / size);
            for (int step = first; step < end; step++)
            {
                if (step % size == 0)
                    LoadGroup(step / size);
                nint offset = (nint)(step - first) * _pitch;
                loss += RoundColumn(step, _errors + offset, _codes + offset);
                for (int later = step + 1; later < end; later++)
                    AddScaled(Column(later), _errors + offset, -Upper(step, later), _pitch);
            }

            StoreCodes(first, end);
            SubtractErrors(first, end, scratch);
        }

        return loss / 2;
    }

    private readonly float* Column(int step) => _weights + ((nint)step * _pitch);

    private readonly float Upper(int step, int later) => _factor.Upper[((nint)step * _columns) + later];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void FitGroup(int step, int columns, int group)
    {
        int groups = _options.Groups(_columns);
        for (int row = 0; row < _rows; row += Lanes)
        {
            Vector512<float> smallest = default, largest = default;
            for (int i = 0; i < columns; i++)
            {
                Vector512<float> weights = Vector512.Load(Column(step + i) + row);
                smallest = Vector512.Min(smallest, weights);
                largest = Vector512.Max(largest, weights);
            }

            for (int lane = 0; lane < Math.Min(Lanes, _rows - row); lane++)
            {
                nint output = ((nint)(row + lane) * groups) + group;
                _options.Grid.Fit(Level(smallest[lane]), Level(largest[lane]), out Scales[output], out Zeros[output]);
                if (_options.HalfScales)
                    Scales[output] = HalfScale(Scales[output]);
            }
        }
    }

    /// <summary>A level in the width it will be stored.</summary>
    private readonly float Level(float value) => _options.Bf16Levels ? BFloat16.Round(value) : value;

    /// <summary>The nearest fp16 number that is positive and finite: weights are divided by it.</summary>
    private static float HalfScale(float scale) =>
        (float)(Half)Math.Clamp(scale, (float)Half.Epsilon, (float)Half.MaxValue);

    private readonly void LoadGroup(int group)
    {
        int groups = _options.Groups(_columns);
        for (int row = 0; row < _pitch; row++)
        {
            // Rows of the padding are zero on any grid; ones keep them free of divisions by zero.
            nint source = ((nint)row * groups) + group;
            _scale[row] = row < _rows ? Scales[source] : 1;
            _zero[row] = row < _rows ? Zeros[source] : 0;
        }
    }

    /// <summary>Codes and errors of a column; returns its part of the loss.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly double RoundColumn(int step, float* error, byte* codes)
    {
        float* column = Column(step);
        Vector512<float> diagonal = Vector512.Create(Upper(step, step));
        Vector512<float> loss = default;
        for (int row = 0; row < _pitch; row += Lanes)
        {
            Vector512<float> weights = Vector512.Load(column + row);
            Vector512<float> rounded = _options.Grid.Round(
                weights, Vector512.Load(_scale + row), Vector512.Load(_zero + row), out Vector512<float> code);
            Vector512<float> difference = (weights - rounded) / diagonal;
            difference.Store(error + row);
            loss = Vector512.FusedMultiplyAdd(difference, difference, loss);
            Narrow(code).Store(codes + row);
        }

        return Vector512.Sum(loss);
    }

    private static Vector128<byte> Narrow(Vector512<float> codes)
    {
        Vector512<int> integers = Vector512.ConvertToInt32(codes);
        Vector256<short> words = Vector256.Narrow(integers.GetLower(), integers.GetUpper());
        return Vector128.Narrow(words.GetLower().AsUInt16(), words.GetUpper().AsUInt16());
    }

    private readonly void StoreCodes(int first, int end)
    {
        ReadOnlySpan<int> order = _factor.Order[first..end];
        for (int row = 0; row < _rows; row++)
        {
            byte* target = Codes + ((nint)row * _columns);
            for (int i = 0; i < order.Length; i++)
                target[order[i]] = _codes[((nint)i * _pitch) + row];
        }
    }

    /// <summary>Takes the block's errors off all later columns.</summary>
    private readonly void SubtractErrors(int first, int end, Scratch scratch)
    {
        var upper = new MatrixView(_factor.Upper + ((nint)first * _columns) + end, _columns);
        var errors = new MatrixView(_errors, _pitch);
        Gemm.Add(
            -1, upper.Transposed, errors, Column(end), _pitch, _columns - end, _pitch, end - first, scratch);
    }

    /// <summary>Computes <c>y += factor * x</c>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddScaled(float* y, float* x, float factor, int count)
    {
        Vector512<float> wide = Vector512.Create(factor);
        for (int i = 0; i < count; i += Lanes)
            Vector512.FusedMultiplyAdd(wide, Vector512.Load(x + i), Vector512.Load(y + i)).Store(y + i);
    }
}
