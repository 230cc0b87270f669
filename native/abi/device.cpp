#include "moek/device.h"

#include <atomic>

#include "abi/arguments.hpp"
#include "abi/context.hpp"

using namespace moek;

namespace {

enum class Direction { kIn, kOut, kInside };

// The three copies differ in which ends are the device's.
moek_status copy(void* target, moek_context* context, const void* source, uint64_t bytes, void* stream,
                 Direction direction) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (bytes == 0) return;
        require_pointer(target, "target");
        require_pointer(source, "source");
        if (direction != Direction::kOut) require_device(*context, target, bytes, 1, "target");
        if (direction != Direction::kIn) require_device(*context, source, bytes, 1, "source");
        if (direction == Direction::kInside) require_apart(target, bytes, "target", source, bytes, "source");
        const cudaMemcpyKind kind = direction == Direction::kIn    ? cudaMemcpyHostToDevice
                                    : direction == Direction::kOut ? cudaMemcpyDeviceToHost
                                                                   : cudaMemcpyDeviceToDevice;
        check(cudaMemcpyAsync(target, source, bytes, kind, stream_of(stream)), "copying");
    });
}

// Reads and clears the word that router kernels set.
void report_nonfinite(moek_context& context) {
    if (__atomic_exchange_n(context.nonfinite, 0, __ATOMIC_ACQ_REL) != 0) {
        fail(MOEK_E_NONFINITE, "a router met a logit that is NaN or infinite; its token chose no expert");
    }
}

}  // namespace

moek_status moek_alloc(void** pointer, moek_context* context, uint64_t bytes) {
    return guarded([&] {
        require_pointer(pointer, "pointer");
        *pointer = nullptr;
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (bytes > 0) *pointer = device_allocate(*context, bytes);
    });
}

moek_status moek_free(moek_context* context, void* pointer) {
    return guarded([&] {
        require_pointer(context, "context");
        if (pointer == nullptr) return;
        DeviceScope scope(*context);
        // A caller's allocator knows its own memory.
        if (context->desc.free_ == nullptr) require_device(*context, pointer, 1, 256, "pointer");
        check(cudaDeviceSynchronize(), "waiting for the device");
        device_free(*context, pointer);
    });
}

moek_status moek_host_alloc(void** pointer, moek_context* context, uint64_t bytes) {
    return guarded([&] {
        require_pointer(pointer, "pointer");
        *pointer = nullptr;
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (bytes > 0) check(cudaHostAlloc(pointer, bytes, cudaHostAllocDefault), "allocating page-locked memory");
    });
}

moek_status moek_host_free(moek_context* context, void* pointer) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (pointer != nullptr) check(cudaFreeHost(pointer), "freeing page-locked memory");
    });
}

moek_status moek_copy_in(void* target, moek_context* context, const void* source, uint64_t bytes, void* stream) {
    return copy(target, context, source, bytes, stream, Direction::kIn);
}

moek_status moek_copy_out(void* target, moek_context* context, const void* source, uint64_t bytes, void* stream) {
    return copy(target, context, source, bytes, stream, Direction::kOut);
}

moek_status moek_copy(void* target, moek_context* context, const void* source, uint64_t bytes, void* stream) {
    return copy(target, context, source, bytes, stream, Direction::kInside);
}

moek_status moek_fill(void* target, moek_context* context, int32_t value, uint64_t bytes, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(value, 0, 255, "value");
        DeviceScope scope(*context);
        if (bytes == 0) return;
        require_device(*context, target, bytes, 1, "target");
        check(cudaMemsetAsync(target, value, bytes, stream_of(stream)), "filling");
    });
}

moek_status moek_stream_create(void** stream, moek_context* context) {
    return guarded([&] {
        require_pointer(stream, "stream");
        *stream = nullptr;
        require_pointer(context, "context");
        DeviceScope scope(*context);
        cudaStream_t made = nullptr;
        check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
        *stream = made;
    });
}

moek_status moek_stream_destroy(moek_context* context, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (stream != nullptr) check(cudaStreamDestroy(stream_of(stream)), "destroying a stream");
    });
}

moek_status moek_stream_synchronize(moek_context* context, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        check(cudaStreamSynchronize(stream_of(stream)), "waiting for a stream");
        report_nonfinite(*context);
    });
}

moek_status moek_event_create(void** event, moek_context* context) {
    return guarded([&] {
        require_pointer(event, "event");
        *event = nullptr;
        require_pointer(context, "context");
        DeviceScope scope(*context);
        cudaEvent_t made = nullptr;
        check(cudaEventCreate(&made), "making an event");
        *event = made;
    });
}

moek_status moek_event_destroy(moek_context* context, void* event) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        if (event != nullptr) check(cudaEventDestroy(static_cast<cudaEvent_t>(event)), "destroying an event");
    });
}

moek_status moek_event_record(moek_context* context, void* event, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_pointer(event, "event");
        DeviceScope scope(*context);
        check(cudaEventRecord(static_cast<cudaEvent_t>(event), stream_of(stream)), "recording an event");
    });
}

moek_status moek_event_wait(moek_context* context, void* event, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_pointer(event, "event");
        DeviceScope scope(*context);
        check(cudaStreamWaitEvent(stream_of(stream), static_cast<cudaEvent_t>(event), 0), "waiting for an event");
    });
}

moek_status moek_event_synchronize(moek_context* context, void* event) {
    return guarded([&] {
        require_pointer(context, "context");
        require_pointer(event, "event");
        DeviceScope scope(*context);
        check(cudaEventSynchronize(static_cast<cudaEvent_t>(event)), "waiting for an event");
    });
}

moek_status moek_event_elapsed(float* milliseconds, moek_context* context, void* start, void* end) {
    return guarded([&] {
        require_pointer(milliseconds, "milliseconds");
        *milliseconds = 0;
        require_pointer(context, "context");
        require_pointer(start, "start");
        require_pointer(end, "end");
        DeviceScope scope(*context);
        check(cudaEventElapsedTime(milliseconds, static_cast<cudaEvent_t>(start), static_cast<cudaEvent_t>(end)),
              "reading a time");
    });
}
