namespace MoeKernels;

/// <summary>Counts the users of native memory, so that disposing its owner during a call frees it when the call
/// ends.</summary>
/// <param name="owner">Named in <see cref="ObjectDisposedException"/>.</param>
/// <param name="free">Runs once, when the owner is disposed and no user is left.</param>
internal sealed class Lifetime(object owner, Action free) : IDisposable
{
    // The owner itself is one user.
    private int _users = 1;
    private int _disposed;

    /// <summary>Keeps the memory until the returned lease is disposed; allocates nothing.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    public Lease Acquire()
    {
        while (true)
        {
            int users = Volatile.Read(ref _users);
            ObjectDisposedException.ThrowIf(users == 0 || Volatile.Read(ref _disposed) != 0, owner);
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
                return new Lease(this);
        }
    }

    /// <summary>A use that can be stored and passed on: allowed after <see cref="Dispose"/> as long as another use
    /// lasts, so that whoever holds one may make more.</summary>
    /// <exception cref="ObjectDisposedException">The memory is freed.</exception>
    public IDisposable Share()
    {
        while (true)
        {
            int users = Volatile.Read(ref _users);
            ObjectDisposedException.ThrowIf(users == 0, owner);
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
                return new SharedUse(this);
        }
    }

    /// <summary>Refuses a call after <see cref="Dispose"/>, for reads that need no lease of their own.</summary>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    public void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, owner);

    /// <summary>Refuses new users; frees now or when the last one leaves. May be called again.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
            Release();
    }

    private void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            free();
    }

    private sealed class SharedUse(Lifetime lifetime) : IDisposable
    {
        private Lifetime? _lifetime = lifetime;

        public void Dispose() => Interlocked.Exchange(ref _lifetime, null)?.Release();
    }

    /// <summary>One use of the memory.</summary>
    internal readonly ref struct Lease(Lifetime lifetime)
    {
        /// <summary>Ends the use.</summary>
        public void Dispose() => lifetime.Release();
    }
}
