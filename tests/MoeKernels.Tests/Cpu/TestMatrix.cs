using System.Runtime.InteropServices;
using MoeKernels.Packed;
using MoeKernels.Tests.Packed;

namespace MoeKernels.Tests.Cpu;

/// <summary>A random matrix in any stored format, in native memory, with the view the kernels take.</summary>
internal sealed unsafe class TestMatrix : IDisposable
{
    private readonly byte* _data;
    private readonly byte* _scales;
    private readonly TestCodebook? _codebook;
    private readonly TernaryTileMatrix? _tiles;

    public TestMatrix(WeightFormat format, int rows, int columns, int seed, int blockRows = 3, int blockColumns = 32)
    {
        if (format == WeightFormat.Codebook)
        {
            _codebook = new TestCodebook(new CodebookShape(rows, columns, 5, 2), seed, inputScales: true);
            View = _codebook.Matrix;
            return;
        }

        if (format == WeightFormat.TernaryTiles)
        {
            _tiles = TernaryTileMatrix.From(QmoeFixture.RandomMatrix(rows, columns, seed));
            View = _tiles.View;
            return;
        }

        Random random = new(seed);
        if (format == WeightFormat.GroupedInt)
        {
            IntegerShape shape = new(Math.Max(rows, 1), columns, 3);
            _data = (byte*)NativeMemory.Alloc((nuint)(shape.Rows * shape.RowBytes));
            _scales = (byte*)NativeMemory.Alloc((nuint)(shape.Rows * shape.Groups * 2));
            FillBytes(random, shape.Rows * shape.RowBytes, _ => true);
            for (int i = 0; i < shape.Rows * shape.Groups; i++)
                ((Half*)_scales)[i] = (Half)(random.NextSingle() / 256);
            View = WeightMatrix.Integers(_data, shape, (ushort*)_scales).Slice(0, rows);
            return;
        }

        int pad = format is WeightFormat.F32 or WeightFormat.F16 or WeightFormat.BF16 ? random.Next(5) : 0;
        int elementBytes = format == WeightFormat.F32 ? 4 : 2;
        int rowBytes = format switch
        {
            WeightFormat.F8E4M3 => columns,
            WeightFormat.MxFp4 => columns / 2,
            _ => (columns + pad) * elementBytes,
        };
        _data = (byte*)NativeMemory.Alloc((nuint)Math.Max(rows * rowBytes, 1));
        new Span<byte>(_data, rows * rowBytes).Fill(0xFF);
        switch (format)
        {
            case WeightFormat.F8E4M3:
                FillBytes(random, rows * columns, code => (code & 0x7F) != 0x7F);
                int scaleColumns = (columns + blockColumns - 1) / blockColumns;
                int scales = (rows + blockRows - 1) / blockRows * scaleColumns;
                _scales = (byte*)NativeMemory.Alloc((nuint)Math.Max(scales, 1) * 4);
                for (int i = 0; i < scales; i++)
                    ((float*)_scales)[i] = random.NextSingle() / 64;
                View = WeightMatrix.F8(_data, rows, columns, (float*)_scales, blockRows, blockColumns);
                break;
            case WeightFormat.MxFp4:
                FillBytes(random, rows * columns / 2, _ => true);
                _scales = (byte*)NativeMemory.Alloc((nuint)Math.Max(rows * columns / 32, 1));
                for (int i = 0; i < rows * columns / 32; i++)
                    _scales[i] = (byte)random.Next(118, 128);
                View = WeightMatrix.Mx4(_data, rows, columns, _scales);
                break;
            default:
                FillFloats(format, random, rows, columns, rowBytes);
                View = new WeightMatrix(format, _data, rows, columns, rowBytes);
                break;
        }
    }

    public WeightMatrix View { get; }

    public static int Columns(WeightFormat format, int columns) => format switch
    {
        WeightFormat.MxFp4 => (columns + 31) / 32 * 32,
        WeightFormat.GroupedInt => Math.Max(columns, 1),
        _ => columns,
    };

    public void Dispose()
    {
        _codebook?.Dispose();
        _tiles?.Dispose();
        NativeMemory.Free(_data);
        NativeMemory.Free(_scales);
    }

    private void FillFloats(WeightFormat format, Random random, int rows, int columns, int rowBytes)
    {
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < columns; c++)
            {
                float value = (random.NextSingle() - 0.5f) * (random.Next(20) == 0 ? 1e-5f : 0.2f);
                byte* row = _data + (r * rowBytes);
                if (format == WeightFormat.F32)
                    ((float*)row)[c] = value;
                else if (format == WeightFormat.F16)
                    ((Half*)row)[c] = (Half)value;
                else
                    ((ushort*)row)[c] = (ushort)(BitConverter.SingleToUInt32Bits(value) >> 16);
            }
        }
    }

    private void FillBytes(Random random, int count, Func<byte, bool> allowed)
    {
        for (int i = 0; i < count; i++)
        {
            do
                _data[i] = (byte)random.Next(256);
            while (!allowed(_data[i]));
        }
    }
}
