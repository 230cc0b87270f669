namespace MoeKernels.Compression;

/// <summary>Estimates the vectors of one stage again from the rows that chose them.</summary>
/// <remarks>
/// With fixed codes the error of group b of a row, <c>e = (y - σ c M_bb - other stages)</c>, is linear in the vector c.
/// Weighted least squares in the groups' own metric give <c>c += (Σ n_b M_bb M_bbᵀ)⁻¹ Σ σ e M_bbᵀ</c>, where n_b is the
/// weight of the rows that chose c in group b.
/// </remarks>
internal sealed unsafe class VectorUpdate(VectorBook book, int stage)
{
    private readonly int _dimension = book.Dimension;
    private readonly double[] _normal = new double[VectorTable.Count * book.Dimension * book.Dimension];
    private readonly double[] _right = new double[VectorTable.Count * book.Dimension];
    private readonly double[] _weights = new double[VectorTable.Count];

    /// <summary>Adds rows.</summary>
    /// <param name="factor">Factor of their Hessian.</param>
    /// <param name="error">Their errors in the metric, [rows × K].</param>
    /// <param name="codes">Their codes, [rows × groups × stages].</param>
    /// <param name="rowWeights">What each row counts, [rows].</param>
    public void Add(DampedFactor factor, float* error, byte* codes, ReadOnlySpan<float> rowWeights)
    {
        int columns = factor.Columns;
        int groups = book.Groups(columns);
        double[] members = new double[VectorTable.Count];
        for (int group = 0; group < groups; group++)
        {
            int first = group * _dimension;
            int count = Math.Min(_dimension, columns - first);
            float* block = factor.Data + ((nint)first * columns) + first;
            Array.Clear(members);
            for (int row = 0; row < rowWeights.Length; row++)
            {
                byte code = codes[((((nint)row * groups) + group) * book.Stages) + stage];
                float weight = rowWeights[row];
                members[code & 127] += weight;
                float* e = error + ((nint)row * columns) + first;
                Span<double> right = _right.AsSpan((code & 127) * _dimension, count);
                for (int i = 0; i < count; i++)
                {
                    float sum = 0;
                    for (int j = i; j < count; j++)
                        sum += e[j] * block[((nint)i * columns) + j];
                    right[i] += (code < 128 ? weight : -weight) * sum;
                }
            }

            AddNormal(block, columns, count, members);
        }
    }

    /// <summary>Moves the vectors; one that nothing chose becomes a neighbour of the one chosen most.</summary>
    /// <returns>What was added, [128 × dimension].</returns>
    public float[] Apply()
    {
        float[] change = new float[VectorTable.Count * _dimension];
        double[] matrix = new double[_dimension * _dimension];
        int largest = _weights.AsSpan().IndexOf(_weights.Max());
        for (int v = 0; v < VectorTable.Count; v++)
        {
            Span<double> right = _right.AsSpan(v * _dimension, _dimension);
            if (_weights[v] > 0)
            {
                _normal.AsSpan(v * matrix.Length, matrix.Length).CopyTo(matrix);
                SolveSmall(matrix, right, _dimension);
            }

            for (int k = 0; k < _dimension; k++)
            {
                float before = book.Vector(stage, v)[k];
                float after = _weights[v] > 0 ? before + (float)right[k] : Neighbour(largest, k);
                change[(v * _dimension) + k] = after - before;
            }
        }

        for (int i = 0; i < change.Length; i++)
            book.Vector(stage, 0)[i] += change[i];
        return change;
    }

    /// <summary>Brings errors up to date inside each group after the vectors of a stage moved.</summary>
    /// <param name="factor">Factor of the rows' Hessian.</param>
    /// <param name="error">Errors, [rows × K].</param>
    /// <param name="codes">Codes, [rows × groups × stages].</param>
    /// <param name="rows">Rows.</param>
    /// <param name="change">From <see cref="Apply"/>.</param>
    public void Follow(DampedFactor factor, float* error, byte* codes, int rows, ReadOnlySpan<float> change)
    {
        int columns = factor.Columns;
        int groups = book.Groups(columns);
        for (int row = 0; row < rows; row++, error += columns)
        {
            for (int group = 0; group < groups; group++, codes += book.Stages)
            {
                int first = group * _dimension;
                int count = Math.Min(_dimension, columns - first);
                byte code = codes[stage];
                ReadOnlySpan<float> moved = change.Slice((code & 127) * _dimension, count);
                for (int i = 0; i < count; i++)
                {
                    float* block = factor.Data + ((nint)(first + i) * columns) + first;
                    float step = code < 128 ? moved[i] : -moved[i];
                    for (int j = i; j < count; j++)
                        error[first + j] -= step * block[j];
                }
            }
        }
    }

    /// <summary>Adds a group's metric to the normal equations of the vectors chosen in it.</summary>
    private void AddNormal(float* block, nint stride, int count, ReadOnlySpan<double> members)
    {
        for (int i = 0; i < count; i++)
        {
            for (int j = 0; j < count; j++)
            {
                double sum = 0;
                for (int k = Math.Max(i, j); k < count; k++)
                    sum += (double)block[(i * stride) + k] * block[(j * stride) + k];
                for (int v = 0; v < VectorTable.Count; v++)
                    _normal[(((v * _dimension) + i) * _dimension) + j] += members[v] * sum;
            }
        }

        for (int v = 0; v < VectorTable.Count; v++)
            _weights[v] += members[v];
    }

    private float Neighbour(int vector, int k) => book.Vector(stage, vector)[k] * (k % 2 == 0 ? 1.1f : 0.9f);

    /// <summary>Solves a symmetric positive system in place; a small ridge keeps it positive.</summary>
    private static void SolveSmall(Span<double> a, Span<double> b, int n)
    {
        double trace = 0;
        for (int i = 0; i < n; i++)
            trace += a[(i * n) + i];
        for (int i = 0; i < n; i++)
            a[(i * n) + i] += 1e-6 * trace / n;

        for (int i = 0; i < n; i++)
        {
            for (int j = i + 1; j < n; j++)
            {
                double factor = a[(j * n) + i] / a[(i * n) + i];
                for (int k = i; k < n; k++)
                    a[(j * n) + k] -= factor * a[(i * n) + k];
                b[j] -= factor * b[i];
            }
        }

        for (int i = n - 1; i >= 0; i--)
        {
            for (int k = i + 1; k < n; k++)
                b[i] -= a[(i * n) + k] * b[k];
            b[i] /= a[(i * n) + i];
        }
    }
}
