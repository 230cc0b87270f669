/**
 * @file device.h
 * Device memory, streams and events. A caller that has its own uses those instead: pointers and
 * streams of the CUDA runtime or driver are accepted everywhere.
 */
#ifndef MOEK_DEVICE_H
#define MOEK_DEVICE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Allocates device memory with the context's allocator.
 *
 * @param[out] pointer  receives the memory, 256-byte aligned; NULL on failure or for 0 bytes
 * @param      context  a context
 * @param      bytes    size; the content is undefined
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_MEMORY
 */
MOEK_API moek_status moek_alloc(void **pointer, moek_context *context, uint64_t bytes);

/** Frees memory of moek_alloc; waits for the device first. NULL is allowed. */
MOEK_API moek_status moek_free(moek_context *context, void *pointer);

/**
 * Allocates page-locked host memory, from and to which copies run without the host.
 *
 * @return as moek_alloc
 */
MOEK_API moek_status moek_host_alloc(void **pointer, moek_context *context, uint64_t bytes);

/** Frees memory of moek_host_alloc. NULL is allowed. */
MOEK_API moek_status moek_host_free(moek_context *context, void *pointer);

/**
 * Copies host memory to the device.
 *
 * @param[out] target   device, at least `bytes`
 * @param      context  a context
 * @param      source   host; pageable memory may be reused when the call returns, memory of
 *                      moek_host_alloc must stay as it is until the stream has passed the copy
 * @param      bytes    size, 0 allowed
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_copy_in(void *target, moek_context *context, const void *source,
                                  uint64_t bytes, void *stream);

/**
 * Copies device memory to the host. The target holds the data once the stream was waited for.
 *
 * @return as moek_copy_in
 */
MOEK_API moek_status moek_copy_out(void *target, moek_context *context, const void *source,
                                   uint64_t bytes, void *stream);

/** Copies inside device memory; the ranges must not overlap. @return as moek_copy_in */
MOEK_API moek_status moek_copy(void *target, moek_context *context, const void *source,
                               uint64_t bytes, void *stream);

/** Sets every byte of a device range to `value` (0-255). @return as moek_copy_in */
MOEK_API moek_status moek_fill(void *target, moek_context *context, int32_t value, uint64_t bytes,
                               void *stream);

/**
 * Makes a stream that does not wait for the default stream.
 *
 * @param[out] stream   receives a cudaStream_t, NULL on failure
 * @param      context  a context
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_stream_create(void **stream, moek_context *context);

/** Destroys a stream when its work is done. NULL is allowed. */
MOEK_API moek_status moek_stream_destroy(moek_context *context, void *stream);

/**
 * Waits for all work of a stream, and reports what that work found.
 *
 * @return MOEK_OK; MOEK_E_NONFINITE when a router of this context met NaN or infinity since the
 *         last wait (its tokens then chose no expert); MOEK_E_DEVICE
 */
MOEK_API moek_status moek_stream_synchronize(moek_context *context, void *stream);

/** Makes an event. @param[out] event receives a cudaEvent_t @return as moek_stream_create */
MOEK_API moek_status moek_event_create(void **event, moek_context *context);

/** Destroys an event. NULL is allowed. */
MOEK_API moek_status moek_event_destroy(moek_context *context, void *event);

/** Marks the present end of a stream's work. */
MOEK_API moek_status moek_event_record(moek_context *context, void *event, void *stream);

/** Makes later work of a stream wait for an event, without the host. */
MOEK_API moek_status moek_event_wait(moek_context *context, void *event, void *stream);

/** Waits on the host until an event has passed. */
MOEK_API moek_status moek_event_synchronize(moek_context *context, void *event);

/**
 * Time between two events that have passed.
 *
 * @param[out] milliseconds  receives it
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_DEVICE when one of them has not passed
 */
MOEK_API moek_status moek_event_elapsed(float *milliseconds, moek_context *context, void *start,
                                        void *end);

#ifdef __cplusplus
}
#endif
#endif
