using MoeKernels.Cpu;

namespace MoeKernels.Tests.Cpu;

[Collection("Cpu")]
public sealed unsafe class AttentionTests
{
    public sealed record Shape(
        int Rows, int Heads, int KvHeads, int KeyDim, int ValueDim, int Positions, int Window, bool Bias, bool Sinks,
        bool Latent = false);

    public static TheoryData<Shape> Shapes { get; } =
    [
        new Shape(1, 1, 1, 16, 16, 1, 1000, false, false),
        new Shape(1, 8, 2, 128, 128, 200, 1000, false, false),
        new Shape(70, 4, 4, 20, 20, 70, 1000, false, true),
        new Shape(130, 4, 2, 32, 48, 150, 37, false, false),
        new Shape(33, 6, 2, 24, 17, 97, 64, true, true),
        new Shape(9, 5, 1, 7, 3, 300, 1000, true, false),
        new Shape(20, 16, 1, 72, 64, 90, 1000, false, false, Latent: true),
        new Shape(3, 60, 1, 600, 512, 130, 1000, false, false, Latent: true),
    ];

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_AnyShape_HasTheBitsOfTheBlockwiseReference(Shape shape)
    {
        using Case test = new(shape);
        float[] expected = test.Expected();
        CpuTests.AssertBits(expected, pool => test.Run(pool, 0, shape.Rows));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_RowByRow_HasTheBitsOfTheBatch(Shape shape)
    {
        using Case test = new(shape);
        using WorkerPool pool = new(2);
        float[] batch = test.Run(pool, 0, shape.Rows);
        int width = shape.Heads * shape.ValueDim;
        for (int row = 0; row < shape.Rows; row++)
            CpuTests.AssertBits(batch.AsSpan(row * width, width), test.Run(pool, row, 1), $"row {row}");
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Forward_AgainstDoublePrecision_IsClose(Shape shape)
    {
        using Case test = new(shape);
        using WorkerPool pool = new(1);
        float[] actual = test.Run(pool, 0, shape.Rows);
        double[] exact = test.Exact();
        for (int i = 0; i < actual.Length; i++)
            Assert.Equal(exact[i], actual[i], 2e-6);
    }

    [Fact]
    public void Forward_NaNBehindTheRange_IsNotRead()
    {
        // A later position that is broken must not reach an earlier row of the same batch.
        Shape shape = new(8, 4, 2, 32, 32, 72, 1000, false, false);
        using Case test = new(shape);
        using WorkerPool pool = new(1);
        float[] clean = test.Run(pool, 0, 7);
        test.Poison(71);
        CpuTests.AssertBits(clean, test.Run(pool, 0, 8).AsSpan(0, clean.Length), "rows before the broken one");
    }

    private sealed class Case : IDisposable
    {
        private readonly Shape _shape;
        private readonly NativeFloats _q, _k, _v, _bias, _sinks;
        private readonly int[] _first, _last;

        public Case(Shape shape)
        {
            _shape = shape;
            Random random = new(shape.Rows + shape.KeyDim);
            _q = new(CpuTests.Random(random, shape.Rows * shape.Heads * shape.KeyDim, 2));
            _k = new(CpuTests.Random(random, shape.Positions * shape.KvHeads * shape.KeyDim, 2));
            _v = new(CpuTests.Random(random, shape.Positions * shape.KvHeads * shape.ValueDim));
            _bias = new(CpuTests.Random(random, shape.Rows * shape.Heads * shape.Positions));
            _sinks = new(CpuTests.Random(random, shape.Heads, 3));
            _last = [.. Enumerable.Range(shape.Positions - shape.Rows, shape.Rows)];
            _first = [.. _last.Select(last => Math.Max(0, last - shape.Window + 1))];
        }

        private float Scale => 1 / MathF.Sqrt(_shape.KeyDim);

        public float[] Run(WorkerPool pool, int row, int rows)
        {
            using NativeFloats y = new(rows * _shape.Heads * _shape.ValueDim);
            fixed (int* first = _first, last = _last)
            {
                AttentionInput input = new()
                {
                    Q = _q.Pointer + (row * _shape.Heads * _shape.KeyDim),
                    QStride = _shape.Heads * _shape.KeyDim,
                    QHeadStride = _shape.KeyDim,
                    K = _k.Pointer,
                    KStride = _shape.KvHeads * _shape.KeyDim,
                    KHeadStride = _shape.KeyDim,
                    V = Value(0, 0),
                    VStride = (nint)(Value(1, 0) - Value(0, 0)),
                    VHeadStride = _shape.ValueDim,
                    Y = y.Pointer,
                    YStride = _shape.Heads * _shape.ValueDim,
                    YHeadStride = _shape.ValueDim,
                    Rows = rows,
                    Heads = _shape.Heads,
                    KvHeads = _shape.KvHeads,
                    KeyDim = _shape.KeyDim,
                    ValueDim = _shape.ValueDim,
                    First = first + row,
                    Last = last + row,
                    Scale = Scale,
                    Bias = _shape.Bias ? _bias.Pointer + (row * _shape.Heads * _shape.Positions) : null,
                    BiasStride = _shape.Heads * _shape.Positions,
                    BiasHeadStride = _shape.Positions,
                    Sinks = _shape.Sinks ? _sinks.Pointer : null,
                };
                Attention.Forward(pool, input);
            }

            return y.Span.ToArray();
        }

        public void Poison(int position)
        {
            int width = _shape.KvHeads * _shape.KeyDim;
            _k.Span.Slice(position * width, width).Fill(float.NaN);
            width = _shape.KvHeads * _shape.ValueDim;
            _v.Span.Slice(position * width, width).Fill(float.NaN);
        }

        public float[] Expected()
        {
            float[] y = new float[_shape.Rows * _shape.Heads * _shape.ValueDim];
            for (int row = 0; row < _shape.Rows; row++)
            {
                for (int head = 0; head < _shape.Heads; head++)
                {
                    Row(row, head).CopyTo(y, ((row * _shape.Heads) + head) * _shape.ValueDim);
                }
            }

            return y;
        }

        public double[] Exact()
        {
            double[] y = new double[_shape.Rows * _shape.Heads * _shape.ValueDim];
            for (int row = 0; row < _shape.Rows; row++)
            {
                for (int head = 0; head < _shape.Heads; head++)
                    ExactRow(row, head, y.AsSpan(((row * _shape.Heads) + head) * _shape.ValueDim, _shape.ValueDim));
            }

            return y;
        }

        public void Dispose()
        {
            foreach (NativeFloats floats in (NativeFloats[])[_q, _k, _v, _bias, _sinks])
                floats.Dispose();
        }

        private float* Value(int position, int head) => _shape.Latent
            ? _k.Pointer + (((position * _shape.KvHeads) + head) * _shape.KeyDim)
            : _v.Pointer + (((position * _shape.KvHeads) + head) * _shape.ValueDim);

        private float Score(int row, int head, int position)
        {
            int kvHead = head / (_shape.Heads / _shape.KvHeads);
            float* k = _k.Pointer + (((position * _shape.KvHeads) + kvHead) * _shape.KeyDim);
            float* q = _q.Pointer + (((row * _shape.Heads) + head) * _shape.KeyDim);
            float score = ReferenceDot.Row(new WeightMatrix(WeightFormat.F32, k, 1, _shape.KeyDim, 0), 0, q) * Scale;
            return _shape.Bias
                ? score + _bias.Pointer[(((row * _shape.Heads) + head) * _shape.Positions) + position]
                : score;
        }

        // The online softmax over blocks of 64 positions, in plain loops.
        private float[] Row(int row, int head)
        {
            int kvHead = head / (_shape.Heads / _shape.KvHeads);
            float max = _shape.Sinks ? _sinks.Pointer[head] : float.MinValue;
            float[] y = new float[_shape.ValueDim];
            float* sums = stackalloc float[16];
            new Span<float>(sums, 16).Clear();
            for (int block = _first[row] / 64 * 64; block <= _last[row]; block += 64)
            {
                int from = Math.Max(block, _first[row]), to = Math.Min(block + 64, _last[row] + 1);
                float now = max;
                for (int p = from; p < to; p++)
                    now = Math.Max(now, Score(row, head, p));
                float shrink = DeterministicMath.Exp(max - now);
                max = now;
                for (int i = 0; i < 16; i++)
                    sums[i] *= shrink;
                for (int i = 0; i < y.Length; i++)
                    y[i] *= shrink;
                for (int p = from; p < to; p++)
                {
                    float weight = DeterministicMath.Exp(Score(row, head, p) - max);
                    sums[p % 16] += weight;
                    for (int i = 0; i < y.Length; i++)
                        y[i] = MathF.FusedMultiplyAdd(weight, Value(p, kvHead)[i], y[i]);
                }
            }

            float sum = ReferenceDot.Tree(sums);
            if (_shape.Sinks)
                sum += DeterministicMath.Exp(_sinks.Pointer[head] - max);
            return [.. y.Select(value => value / sum)];
        }

        private void ExactRow(int row, int head, Span<double> y)
        {
            int kvHead = head / (_shape.Heads / _shape.KvHeads);
            double sum = _shape.Sinks ? Math.Exp(_sinks.Pointer[head]) : 0;
            for (int p = _first[row]; p <= _last[row]; p++)
            {
                double weight = Math.Exp(Score(row, head, p));
                sum += weight;
                for (int i = 0; i < y.Length; i++)
                    y[i] += weight * Value(p, kvHead)[i];
            }

            for (int i = 0; i < y.Length; i++)
                y[i] /= sum;
        }
    }
}
