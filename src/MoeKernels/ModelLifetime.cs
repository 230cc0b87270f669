namespace MoeKernels;

/// <summary>Counts who uses a loaded model; frees it when the model object and its last session are gone.</summary>
internal sealed class ModelLifetime(Action free)
{
    private int _users = 1;

    /// <summary>One more user; disposing the result ends its use, once.</summary>
    public IDisposable Lease()
    {
        Interlocked.Increment(ref _users);
        return new Use(this);
    }

    /// <summary>Ends one use.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            free();
        }
    }

    private sealed class Use(ModelLifetime lifetime) : IDisposable
    {
        private ModelLifetime? _lifetime = lifetime;

        public void Dispose() => Interlocked.Exchange(ref _lifetime, null)?.Release();
    }
}
