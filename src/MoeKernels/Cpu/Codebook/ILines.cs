namespace MoeKernels.Cpu;

/// <summary>A register of code bytes or table values, one row in each byte.</summary>
internal unsafe interface ILines<T>
    where T : struct, ILines<T>
{
    /// <summary>Whether this processor has the instructions.</summary>
    static abstract bool IsSupported { get; }

    /// <summary>Rows in a register.</summary>
    static abstract int Bytes { get; }

    /// <summary>Loads codes at any address.</summary>
    static abstract T Load(byte* codes);

    /// <summary>The value each code points to: <c>table[code % 128]</c>, all bits inverted from code 128 on.</summary>
    static abstract T Lookup(byte* table, T codes);

    /// <summary>Adds 16-bit words modulo 2^16.</summary>
    static abstract T AddWords(T left, T right);

    /// <summary>The upper byte of each word as a word.</summary>
    static abstract T UpperBytes(T value);

    /// <summary>Stores words.</summary>
    static abstract void Store(T value, ushort* destination);
}
