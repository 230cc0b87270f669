using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.OnnxRuntime;

namespace MoeKernels.Benchmarks;

/// <summary>ONNX Runtime sessions that each hold one weight matrix: <c>y = MatMul(x, W)</c>.</summary>
internal sealed class OnnxMatMul : IDisposable
{
    private readonly SessionOptions _options;
    private readonly InferenceSession[] _sessions;
    private readonly OrtValue _x;
    private readonly OrtValue _y;
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
        byte[] model = Model(tokens, columns, rows);
        _sessions = [.. Enumerable.Range(0, count).Select(_ => new InferenceSession(model, _options))];
        float[] input = new float[tokens * columns];
        Array.Fill(input, 0.01f);
        _x = OrtValue.CreateTensorValueFromMemory(input, [tokens, columns]);
        _y = OrtValue.CreateTensorValueFromMemory(new float[tokens * rows], [tokens, rows]);
    }

    /// <summary>Runs every session once.</summary>
    public void Run()
    {
        foreach (InferenceSession session in _sessions)
            session.Run(_run, ["x"], [_x], ["y"], [_y]);
    }

    public void Dispose()
    {
        foreach (InferenceSession session in _sessions)
            session.Dispose();
        _x.Dispose();
        _y.Dispose();
        _run.Dispose();
        _options.Dispose();
    }

    // The few messages of onnx.proto that one MatMul needs; numbers are the fields of that file.
    private static byte[] Model(int tokens, int columns, int rows)
    {
        byte[] weights = new byte[4L * columns * rows];
        Random random = new(1);
        for (int i = 0; i < weights.Length; i += 4)
            BinaryPrimitives.WriteSingleLittleEndian(weights.AsSpan(i), random.NextSingle() - 0.5f);
        const int Float = 1;
        Message initializer = new Message().Varint(1, columns).Varint(1, rows).Varint(2, Float).Text(8, "w")
            .Bytes(9, weights);
        Message node = new Message().Text(1, "x").Text(1, "w").Text(2, "y").Text(3, "product").Text(4, "MatMul");
        Message graph = new Message().Nested(1, node).Text(2, "matmul").Nested(5, initializer)
            .Nested(11, Value("x", tokens, columns)).Nested(12, Value("y", tokens, rows));
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
