using MoeKernels.Tests.Repository;

namespace MoeKernels.Tests.Generation;

/// <summary>The sample model, loaded once for all tests: models are immutable and thread-safe.</summary>
public sealed class SampleModel : IAsyncLifetime
{
    public static string Folder => RepositoryPaths.DataFile("novelist-s");

    public MoeModel Model { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Model = await MoeModel.LoadAsync(Folder);

    public ValueTask DisposeAsync() => Model.DisposeAsync();
}
