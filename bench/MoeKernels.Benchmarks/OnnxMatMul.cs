using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace MoeKernels.Benchmarks;

/// <summary>An ONNX Runtime session of several products <c>y[i] = MatMul(x, W[i])</c>, computed one after the
/// other.</summary>
/// <remarks>One session and not one per matrix: each would have threads of its own, spinning against the
/// others'.</remarks>
internal sealed class OnnxMatMul : IDisposable
{
    private readonly SessionOptions _options;
    private readonly InferenceSession _session;
    private readonly OrtValue _x;
    private readonly OrtValue[] _y;
    private readonly string[] _names;
    private readonly RunOptions _run = new();

    public OnnxMatMul(int tokens, int columns, int rows, int count, int threads)
    {
        _options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
        };

        // Its threads would otherwise go on spinning while an alternative is timed.
        _options.AddSessionConfigEntry("session.force_spinning_stop", "1");
        _session = new InferenceSession(Model(tokens, columns, rows, count), _options);
        float[] input = new float[tokens * columns];
        Array.Fill(input, 0.01f);
        _x = OrtValue.CreateTensorValueFromMemory(input, [tokens, columns]);
        _names = [.. Enumerable.Range(0, count).Select(i => Name("y", i))];
        _y = [.. _names.Select(_ => OrtValue.CreateTensorValueFromMemory(new float[tokens * rows], [tokens, rows]))];
    }

    /// <summary>Computes every product once.</summary>
    public void Run() => _session.Run(_run, ["x"], [_x], _names, _y);

    public void Dispose()
    {
        _session.Dispose();
        _x.Dispose();
        foreach (OrtValue y in _y)
            y.Dispose();
        _run.Dispose();
        _options.Dispose();
    }

    private static string Name(string letter, int index) =>
        string.Create(CultureInfo.InvariantCulture, $"{letter}{index}");

    // The few messages of onnx.proto that products need; numbers are the fields of that file.
    private static byte[] Model(int tokens, int columns, int rows, int count)
    {
        const int Float = 1;
        byte[] weights = new byte[4L * columns * rows];
        Random random = new(1);
        for (int i = 0; i < weights.Length; i += 4)
            BinaryPrimitives.WriteSingleLittleEndian(weights.AsSpan(i), random.NextSingle() - 0.5f);
        Message graph = new Message().Text(2, "products");
        for (int i = 0; i < count; i++)
        {
            // The first element differs, so that no optimisation may take two matrices for one.
            BinaryPrimitives.WriteSingleLittleEndian(weights, i);
            graph.Nested(1, new Message().Text(1, "x").Text(1, Name("w", i)).Text(2, Name("y", i))
                .Text(3, Name("product", i)).Text(4, "MatMul"));
            graph.Nested(5, new Message().Varint(1, columns).Varint(1, rows).Varint(2, Float).Text(8, Name("w", i))
                .Bytes(9, weights));
            graph.Nested(12, Value(Name("y", i), tokens, rows));
        }

        graph.Nested(11, Value("x", tokens, columns));
        return new Message().Varint(1, 8).Nested(7, graph).Nested(8, new Message().Text(1, "").Varint(2, 17))
            .ToArray();
    }

    private static Message Value(string name, int first, int second)
    {
        Message shape = new Message().Nested(1, new Message().Varint(1, first))
            .Nested(1, new Message().Varint(1, second));
        Message tensor = new Message().Varint(1, 1).Nested(2, shape);
        return new Message().Text(1, name).Nested(2, new Message().Nested(1, tensor));
    }

    /// <summary>Writes the wire format of protocol buffers.</summary>
    private sealed class Message
    {
        private readonly MemoryStream _stream = new();

        public Message Varint(int field, long value)
        {
            Number((ulong)field << 3);
            Number((ulong)value);
            return this;
        }

        public Message Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

        public Message Nested(int field, Message value) => Bytes(field, value.ToArray());

        public Message Bytes(int field, byte[] value)
        {
            Number(((ulong)field << 3) | 2);
            Number((ulong)value.Length);
            _stream.Write(value);
            return this;
        }

        public byte[] ToArray() => _stream.ToArray();

        private void Number(ulong value)
        {
            for (; value >= 128; value >>= 7)
                _stream.WriteByte((byte)(value | 128));
            _stream.WriteByte((byte)value);
        }
    }
}
