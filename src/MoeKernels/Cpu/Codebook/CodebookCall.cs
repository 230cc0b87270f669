using MoeKernels.Experts;
using MoeKernels.Packed;

namespace MoeKernels.Cpu;

/// <summary>A product over experts: splits it into panels of input rows and lists, for each panel, the tables to build
/// and the matrices to look up.</summary>
internal unsafe ref struct CodebookCall
{
    private readonly WorkerPool _pool;
    private readonly ExpertSlots _slots;
    private Range* _ranges;
    private int _rangeCount;
    private CodebookPart* _parts;
    private CodebookInput* _inputs;
    private int _inputCount;
    private CodebookVectors* _sharedGate;
    private CodebookVectors* _sharedMain;

    /// <summary>Prepares a call.</summary>
    public CodebookCall(WorkerPool pool, in ExpertSlots slots) => (_pool, _slots) = (pool, slots);

    /// <summary>What is applied to the products, or null.</summary>
    public Activation* Activation { get; init; }

    /// <summary>The gates; without matrices where there are none.</summary>
    public ExpertProduct Gate { get; init; }

    /// <summary>The only matrices, or up's.</summary>
    public ExpertProduct Main { get; init; }

    /// <summary>Output, [slots × rows of the matrices].</summary>
    public float* Y { get; init; }

    /// <summary>Distance between two slots of the output in elements.</summary>
    public nint YStride { get; init; }

    private readonly bool GateSharesTables => _sharedGate != null && _sharedGate == _sharedMain;

    /// <summary>Computes all slots.</summary>
    public void Run()
    {
        int active = 0;
        for (int e = 0; e < _slots.Experts; e++)
            active += _slots.Offsets[e] < _slots.Offsets[e + 1] ? 1 : 0;
        if (active == 0)
            return;

        using ScratchPool.Lease lists = _pool.Rent(
            active * (long)(sizeof(CodebookPart) + (2 * sizeof(CodebookInput)) + sizeof(Range)));
        _parts = (CodebookPart*)lists.Pointer;
        _inputs = (CodebookInput*)(_parts + active);
        _ranges = (Range*)(_inputs + (2 * active));
        ListRanges();
        _sharedGate = Gate.Matrices == null ? null : Shared(Gate);
        _sharedMain = Shared(Main);
        long budget = _slots.RowOfSlot == null ? TablePanels.SmallBudget : TablePanels.LargeBudget;
        int panel = TablePanels.Rows(BytesPerRow(), _slots.Rows, budget);
        for (int row = 0; row < _slots.Rows; row += panel)
            RunPanel(row, Math.Min(panel, _slots.Rows - row));
    }

    private void ListRanges()
    {
        for (int e = 0; e < _slots.Experts; e++)
        {
            if (_slots.Offsets[e] < _slots.Offsets[e + 1])
                _ranges[_rangeCount++] = new Range { Expert = e, End = _slots.Offsets[e] };
        }
    }

    /// <summary>The codebook whose tables of a token all experts share, or null: in expert order every slot has an
    /// input of its own.</summary>
    private readonly CodebookVectors* Shared(in ExpertProduct product)
    {
        if (_slots.RowOfSlot == null)
            return null;
        CodebookVectors* first = product.Matrices[_ranges[0].Expert].Vectors;
        for (int i = 1; i < _rangeCount; i++)
        {
            if (product.Matrices[_ranges[i].Expert].Vectors != first)
                return null;
        }

        return first;
    }

    private readonly long BytesPerRow()
    {
        long main = BytesPerRow(Main, _sharedMain);
        return Gate.Matrices == null || GateSharesTables ? main : main + BytesPerRow(Gate, _sharedGate);
    }

    private readonly long BytesPerRow(in ExpertProduct product, CodebookVectors* shared)
    {
        long bytes = CodebookTables.ByteCount(product.Matrices[_ranges[0].Expert].CodebookShape, 1);
        return shared != null ? bytes : bytes * ((_slots.Slots + _slots.Rows - 1) / _slots.Rows);
    }

    private void RunPanel(int row, int rows)
    {
        for (int i = 0; i < _rangeCount; i++)
            _ranges[i].Advance(_slots, row + rows);
        _inputCount = 0;
        AddInputs(Main, _sharedMain, row, rows, isGate: false);
        if (Gate.Matrices != null)
            AddInputs(Gate, _sharedGate, row, rows, isGate: true);

        int partCount = 0;
        for (int i = 0; i < _rangeCount; i++)
        {
            if (_ranges[i].Count > 0)
                _parts[partCount++] = Part(_ranges[i], row);
        }

        CodebookRegion.Run(_pool, _inputs, _inputCount, _parts, partCount);
    }

    /// <summary>Lists the inputs of a product: those of the panel where the experts share tables, else those of each
    /// expert.</summary>
    private void AddInputs(in ExpertProduct product, CodebookVectors* shared, int row, int rows, bool isGate)
    {
        bool isThere = isGate && GateSharesTables;
        int input = isThere ? 0 : _inputCount;
        if (shared != null && !isThere)
            AddInput(product.Matrices[_ranges[0].Expert], _slots.X + (row * _slots.XStride), null, rows);

        for (int i = 0; i < _rangeCount; i++)
        {
            ref Range range = ref _ranges[i];
            WeightMatrix w = product.Matrices[range.Expert];
            if (shared == null)
            {
                bool isMain = isGate && _sharedMain == null && w.Vectors == Main.Matrices[range.Expert].Vectors;
                input = isMain ? range.MainInput : _inputCount;
                if (range.Count > 0 && !isMain)
                    AddInput(w, range.X(_slots), range.Rows(_slots), range.Count);
            }

            if (isGate)
                range.GateInput = input;
            else
                range.MainInput = input;
        }
    }

    private void AddInput(in WeightMatrix w, float* x, int* rows, int count)
    {
        _inputs[_inputCount++] = new CodebookInput
        {
            Vectors = w.Vectors,
            Shape = w.CodebookShape,
            Count = count,
            X = x,
            XStride = _slots.XStride,
            Rows = rows,
        };
    }

    private readonly CodebookPart Part(in Range range, int row) => new()
    {
        Main = Product(Main, range, range.MainInput, _sharedMain, row),
        Gate = Gate.Matrices == null ? default : Product(Gate, range, range.GateInput, _sharedGate, row),
        Activation = Activation,
        Tokens = range.Count,
        Y = Y + (range.Begin * YStride),
        YStride = YStride,
    };

    private readonly CodebookProduct Product(
        in ExpertProduct product, in Range range, int input, CodebookVectors* shared, int row) => new()
        {
            Weights = CodebookMatrix.Of(product.Matrices[range.Expert]),
            Bias = product.Bias(range.Expert),
            Input = _inputs + input,
            First = shared == null ? 0 : -row,
            Rows = shared == null ? null : range.Rows(_slots),
        };

    /// <summary>The slots of an expert whose inputs are in the panel.</summary>
    private struct Range
    {
        public int Expert, Begin, End, GateInput, MainInput;

        public readonly int Count => End - Begin;

        /// <summary>Goes on to the slots with inputs below a row.</summary>
        public void Advance(in ExpertSlots slots, int endRow)
        {
            Begin = End;
            while (End < slots.Offsets[Expert + 1] && slots.Row(End) < endRow)
                End++;
        }

        public readonly int* Rows(in ExpertSlots slots) =>
            slots.RowOfSlot == null ? null : slots.RowOfSlot + Begin;

        public readonly float* X(in ExpertSlots slots) =>
            slots.RowOfSlot == null ? slots.X + (Begin * slots.XStride) : slots.X;
    }
}
