// Streams and events: queues that run when somebody waits.
//
// Operations run in an order that CUDA allows: by position within a stream, after the records that they wait for, and,
// for streams that take turns with the legacy stream, by position among those two. Every dependency points to an
// operation of a smaller sequence number, so running one first never comes back to the same.
#include "emulator/device.hpp"

namespace cuemu {
namespace {

void run_one(CUstream_st* stream);

void run_before(CUstream_st* stream, uint64_t sequence) {
    while (!stream->queue.empty() && stream->queue.front().sequence < sequence) run_one(stream);
}

void run_one(CUstream_st* stream) {
    Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (stream == device().legacy) {
        for (CUstream_st* other : device().streams)
            if (other->blocking && other != stream) run_before(other, operation.sequence);
    } else if (stream->blocking) {
        run_before(device().legacy, operation.sequence);
    }
    if (operation.after)
        while (operation.after->completed < operation.after_record) run_one(operation.after->stream);
    if (operation.marks) {
        operation.marks->completed = operation.marks_record;
        operation.marks->when = std::chrono::steady_clock::now();
    }
    if (!operation.run || device().sticky != cudaSuccess) return;
    const cudaError_t error = operation.run();
    if (error != cudaSuccess) device().sticky = error;
}

cudaError_t create(cudaStream_t* stream, unsigned flags) {
    if (!stream || flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    auto* made = new CUstream_st;
    made->blocking = flags == cudaStreamDefault;
    device().streams.insert(made);
    *stream = made;
    return device().sticky;
}

cudaError_t record(CUevent_st* event, CUstream_st* stream) {
    // A second record replaces the first for whoever asks from now on; older waits keep theirs.
    if (event->completed < event->recorded && event->stream != stream)
        while (event->completed < event->recorded) run_one(event->stream);
    event->stream = stream;
    Operation operation{device().next_sequence++, nullptr};
    operation.marks = event;
    operation.marks_record = ++event->recorded;
    stream->queue.push_back(std::move(operation));
    return device().sticky;
}

bool known(CUevent_st* event) {
    return device().events.count(event) != 0;
}

/// Runs until the event's latest record has.
void finish(CUevent_st* event) {
    while (event->completed < event->recorded) run_one(event->stream);
}

}  // namespace

CUstream_st* find_stream(cudaStream_t handle) {
    Device& d = device();
    if (!d.legacy) {
        d.legacy = new CUstream_st;
        d.streams.insert(d.legacy);
    }
    if (!handle) return d.legacy;
    return d.streams.count(handle) ? handle : nullptr;
}

cudaError_t enqueue(CUstream_st* stream, std::function<cudaError_t()> run) {
    if (device().sticky != cudaSuccess) return device().sticky;
    stream->queue.push_back({device().next_sequence++, std::move(run)});
    return cudaSuccess;
}

cudaError_t drain(CUstream_st* stream) {
    while (!stream->queue.empty()) run_one(stream);
    check_red_zones();
    return device().sticky;
}

cudaError_t drain_all() {
    for (CUstream_st* stream : device().streams)
        while (!stream->queue.empty()) run_one(stream);
    check_red_zones();
    return device().sticky;
}

void drop_all_streams() {
    for (CUstream_st* stream : device().streams) delete stream;
    for (CUevent_st* event : device().events) delete event;
    device().streams.clear();
    device().events.clear();
    device().legacy = nullptr;
}

}  // namespace cuemu

using cuemu::device;
using cuemu::Lock;
using cuemu::report;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    Lock lock(device().mutex);
    return report(cuemu::create(stream, flags));
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    Lock lock(device().mutex);
    if (!stream || !cuemu::find_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    const cudaError_t error = cuemu::drain(stream);
    device().streams.erase(stream);
    for (CUevent_st* event : device().events)
        if (event->stream == stream) {
            event->stream = nullptr;
            event->completed = event->recorded;
        }
    delete stream;
    return report(error);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    return report(cuemu::drain(stream));
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    if (device().sticky != cudaSuccess) return report(device().sticky);
    if (stream->queue.empty()) return cudaSuccess;
    cuemu::run_one(stream);
    return cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream || !cuemu::known(event)) return report(cudaErrorInvalidResourceHandle);
    if (event->completed < event->recorded)
        stream->queue.push_back({device().next_sequence++, nullptr, event, event->recorded});
    return report(device().sticky);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* user_data) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    if (!function) return report(cudaErrorInvalidValue);
    return report(cuemu::enqueue(stream, [=] {
        function(user_data);
        return cudaSuccess;
    }));
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    Lock lock(device().mutex);
    if (!event || flags > (cudaEventBlockingSync | cudaEventDisableTiming)) return report(cudaErrorInvalidValue);
    *event = new CUevent_st;
    (*event)->timed = (flags & cudaEventDisableTiming) == 0;
    device().events.insert(*event);
    return report(device().sticky);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
    Lock lock(device().mutex);
    if (!cuemu::known(event)) return report(cudaErrorInvalidResourceHandle);
    if (event->stream) cuemu::drain(event->stream);
    cuemu::drain_all();  // others may wait for it
    device().events.erase(event);
    delete event;
    return report(device().sticky);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream || !cuemu::known(event)) return report(cudaErrorInvalidResourceHandle);
    return report(cuemu::record(event, stream));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    Lock lock(device().mutex);
    if (!cuemu::known(event)) return report(cudaErrorInvalidResourceHandle);
    cuemu::finish(event);
    return report(device().sticky);
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
    Lock lock(device().mutex);
    if (!cuemu::known(event)) return report(cudaErrorInvalidResourceHandle);
    if (device().sticky != cudaSuccess) return report(device().sticky);
    if (event->completed == event->recorded) return cudaSuccess;
    cuemu::run_one(event->stream);
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    Lock lock(device().mutex);
    if (!cuemu::known(start) || !cuemu::known(end)) return report(cudaErrorInvalidResourceHandle);
    if (!milliseconds || !start->timed || !end->timed || !start->recorded || !end->recorded)
        return report(cudaErrorInvalidValue);
    if (start->completed < start->recorded || end->completed < end->recorded) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(end->when - start->when).count();
    return report(device().sticky);
}
