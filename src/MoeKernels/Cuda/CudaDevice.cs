using System.Text;
using MoeKernels.Interop;

namespace MoeKernels.Cuda;

/// <summary>An open device: a context of the native library. Shared by everything that is placed on it, and freed when
/// the last of that is gone.</summary>
internal sealed unsafe class CudaDevice : IDisposable
{
    private CudaDevice(int index, ContextHandle context, in moek_device_info info)
    {
        (Index, Context) = (index, context);
        IsEmulated = info.emulated != 0;
        Capability = info.capability;
        Multiprocessors = info.multiprocessors;
        (TotalBytes, FreeBytes) = ((long)info.total_bytes, (long)info.free_bytes);
        fixed (byte* name = info.name)
            Name = NameOf(name);
    }

    /// <summary>Path of the native library in use.</summary>
    public static string LibraryPath => NativeRuntime.Path;

    /// <summary>Number of the device.</summary>
    public int Index { get; }

    /// <summary>The device's name, as the driver gives it.</summary>
    public string Name { get; }

    /// <summary>Whether the kernels run on the CPU, under the emulator.</summary>
    public bool IsEmulated { get; }

    /// <summary>Compute capability, 10 × major + minor.</summary>
    public int Capability { get; }

    /// <summary>Streaming multiprocessors.</summary>
    public int Multiprocessors { get; }

    /// <summary>Memory of the device.</summary>
    public long TotalBytes { get; }

    /// <summary>Memory that was free when the device was opened.</summary>
    public long FreeBytes { get; }

    /// <summary>Whether products take and give bf16 (tensor cores) rather than fp32.</summary>
    public bool RoundsActivations { get; init; }

    /// <summary>What products take and give.</summary>
    public moek_dtype ActivationType => RoundsActivations ? moek_dtype.MOEK_BF16 : moek_dtype.MOEK_F32;

    /// <summary>Bytes of an element of <see cref="ActivationType"/>.</summary>
    public int ActivationSize => RoundsActivations ? sizeof(ushort) : sizeof(float);

    /// <summary>How errors and reports call it.</summary>
    public string Id => $"cuda:{Index}";

    internal ContextHandle Context { get; }

    internal moek_context* Pointer => (moek_context*)Context.DangerousGetHandle();

    /// <summary>Opens a device.</summary>
    /// <param name="index">Its number.</param>
    /// <param name="roundsActivations">See <see cref="RoundsActivations"/>.</param>
    /// <exception cref="MoeDeviceException">There is no native library, no driver or no such device; the message says
    /// which.</exception>
    public static CudaDevice Open(int index, bool roundsActivations = false)
    {
        string id = $"cuda:{index}";
        if (!NativeRuntime.TryLoad(out string? reason))
            throw new MoeDeviceException(id, reason);
        try
        {
            var context = new ContextHandle(index);
            moek_device_info info = new() { struct_size = (uint)sizeof(moek_device_info) };
            NativeStatus.Check(
                Moek.moek_context_info(&info, (moek_context*)context.DangerousGetHandle()),
                nameof(Moek.moek_context_info));
            return new CudaDevice(index, context, info) { RoundsActivations = roundsActivations };
        }
        catch (NativeException e)
        {
            throw new MoeDeviceException(id, e.Text.Length > 0 ? e.Text : e.Message);
        }
    }

    /// <summary>Throws unless a native call on this device succeeded. To be called on the thread of the call.</summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="what">What was being done, for the message.</param>
    /// <exception cref="MoeException">The call failed; the type depends on the status.</exception>
    public void Check(moek_status status, string what)
    {
        if (status == moek_status.MOEK_OK)
            return;
        try
        {
            NativeStatus.Check(status, what);
        }
        catch (NativeException e)
        {
            throw Translate(e, what);
        }
    }

    /// <summary>The library's own exception for a failed native call.</summary>
    public MoeException Translate(NativeException error, string what) => error switch
    {
        NativeUnsupportedException => new MoeUnsupportedException(error.Text, Id),
        NativeNonFiniteException => new MoeNonFiniteException(Id, error.Text),
        NativeMemoryException => new MoeOutOfMemoryException($"{what} on {Id} ({error.Text})", 0, error),
        _ => new MoeDeviceException(Id, $"{what}: {error.Message}"),
    };

    /// <inheritdoc/>
    public void Dispose() => Context.Dispose();

    private static string NameOf(byte* name)
    {
        int length = 0;
        while (length < 128 && name[length] != 0)
            length++;
        return Encoding.UTF8.GetString(name, length);
    }
}
