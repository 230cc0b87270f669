namespace MoeKernels.Interop.Tests;

/// <summary>Every status becomes the exception that says what to do.</summary>
public class StatusTests
{
    private static readonly Dictionary<moek_status, Type> Special = new()
    {
        [moek_status.MOEK_E_NO_DRIVER] = typeof(NativeDeviceMissingException),
        [moek_status.MOEK_E_DRIVER_OLD] = typeof(NativeDeviceMissingException),
        [moek_status.MOEK_E_NO_DEVICE] = typeof(NativeDeviceMissingException),
        [moek_status.MOEK_E_UNSUPPORTED] = typeof(NativeUnsupportedException),
        [moek_status.MOEK_E_MEMORY] = typeof(NativeMemoryException),
        [moek_status.MOEK_E_NONFINITE] = typeof(NativeNonFiniteException),
        [moek_status.MOEK_E_DATA] = typeof(NativeDataException),
    };

    [Fact]
    public void Failures_HaveTheirTypesAndKeepStatusAndText() =>
        Assert.All(Enum.GetValues<moek_status>().Except([moek_status.MOEK_OK]), status =>
        {
            var error = NativeStatus.Error(status, "moek_call", "a text");
            Assert.Equal(Special.GetValueOrDefault(status, typeof(NativeException)), error.GetType());
            Assert.Equal((status, "a text"), (error.Status, error.Text));
            Assert.Equal($"moek_call: a text ({status})", error.Message);
        });

    [Fact]
    public void FailureWithoutText_NamesTheStatus() =>
        Assert.Equal(
            "moek_call: MOEK_E_DEVICE", NativeStatus.Error(moek_status.MOEK_E_DEVICE, "moek_call", "").Message);

    [Fact]
    public void Success_NeedsNoLibrary() => NativeStatus.Check(moek_status.MOEK_OK, "moek_call");
}
