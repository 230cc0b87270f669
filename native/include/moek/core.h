/**
 * @file core.h
 * Status codes, element types, versions and the context.
 *
 * Conventions of every header: out parameters come first; functions return a moek_status and do
 * nothing when it is not MOEK_OK; option structs begin with `struct_size` and have an initialiser;
 * handles are opaque and belong to the context they were made with; arrays are row-major, shapes
 * are given in brackets, slowest axis first. Work is queued on `stream` (a cudaStream_t, the
 * caller's own or one of device.h; NULL is the default stream) and nothing but creation,
 * destruction and the calls that say so allocates, waits or reads device memory on the host.
 * A handle may be used by several threads at a time, but not while it is being destroyed.
 */
#ifndef MOEK_CORE_H
#define MOEK_CORE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define MOEK_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MOEK_API __attribute__((visibility("default")))
#else
#define MOEK_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Changes when an older caller could be misled. */
#define MOEK_ABI_MAJOR 1
/** Grows with every addition. */
#define MOEK_ABI_MINOR 0

/** Result of a call. Numbers never change their meaning. */
typedef enum moek_status {
    /** Success. */
    MOEK_OK = 0,
    /** An argument is null, misaligned, overlapping or out of range; the text names it. */
    MOEK_E_ARGUMENT = -1,
    /** Right arguments that this library, device or build has no kernel for. */
    MOEK_E_UNSUPPORTED = -2,
    /** Out of host or device memory. */
    MOEK_E_MEMORY = -3,
    /** The device reported a failure; its context may be lost. */
    MOEK_E_DEVICE = -4,
    /** No CUDA driver is installed. */
    MOEK_E_NO_DRIVER = -5,
    /** The driver is older than the CUDA version this library was built with. */
    MOEK_E_DRIVER_OLD = -6,
    /** There is a driver but no device of this number. */
    MOEK_E_NO_DEVICE = -7,
    /** The caller was compiled against an ABI that this library does not serve. */
    MOEK_E_ABI = -8,
    /** The workspace is smaller than the call needs. */
    MOEK_E_WORKSPACE = -9,
    /** A wait took longer than it may. */
    MOEK_E_TIMEOUT = -10,
    /** Packed weights contradict their own description. */
    MOEK_E_DATA = -11,
    /** A router met NaN or infinity. */
    MOEK_E_NONFINITE = -12,
    /** A defect of the library. */
    MOEK_E_INTERNAL = -13
} moek_status;

/** How the elements of a tensor or matrix are stored. */
typedef enum moek_dtype {
    /** IEEE single precision. */
    MOEK_F32 = 0,
    /** IEEE half precision. */
    MOEK_F16 = 1,
    /** The upper half of a single. */
    MOEK_BF16 = 2,
    /** 8-bit float, 4 exponent bits, finite, with fp32 scales per block of rows and columns. */
    MOEK_F8E4M3 = 3,
    /** OCP MXFP4: blocks of 32 e2m1 values, two to a byte, with one e8m0 scale. */
    MOEK_MXFP4 = 4,
    /** Trained codebooks (packed.h). */
    MOEK_CODEBOOK = 5,
    /** QMoE's ternary codewords (packed.h). */
    MOEK_QMOE = 6
} moek_dtype;

/** Severity of a log line. */
typedef enum moek_log_level {
    /** Details for developers. */
    MOEK_LOG_DEBUG = 0,
    /** What was chosen, once per object. */
    MOEK_LOG_INFO = 1,
    /** Something slower or less exact than asked for. */
    MOEK_LOG_WARNING = 2
} moek_log_level;

/** Receives a log line: UTF-8, valid during the call. It must not call the library. */
typedef void (*moek_log_fn)(int32_t level, const char *message, void *user);
/** Allocates `bytes` of device memory, 256-byte aligned, or returns NULL. */
typedef void *(*moek_alloc_fn)(uint64_t bytes, void *user);
/** Frees what the allocator gave. */
typedef void (*moek_free_fn)(void *pointer, void *user);

/** A device with the library's kernels loaded. */
typedef struct moek_context moek_context;

/** How a context is made. */
typedef struct moek_context_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** Number of the device. */
    int32_t device;
    /** 0; other bits are refused. */
    uint32_t flags;
    /** 0. */
    uint32_t reserved0;
    /** Receives log lines; NULL for silence. */
    moek_log_fn log;
    /** Device allocator; NULL for the library's own. Given together with free_ or not at all. */
    moek_alloc_fn alloc;
    /** Counterpart of alloc. */
    moek_free_fn free_;
    /** Handed to the three functions. */
    void *user;
} moek_context_desc;

/** What a context runs on. */
typedef struct moek_device_info {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** Number of the device. */
    int32_t device;
    /** Compute capability, 10 * major + minor, for example 90. */
    int32_t capability;
    /** Streaming multiprocessors. */
    int32_t multiprocessors;
    /** 1 where the kernels run on the CPU under the emulator. */
    int32_t emulated;
    /** 0. */
    int32_t reserved0;
    /** Device memory in bytes. */
    uint64_t total_bytes;
    /** Device memory that was free at the time of the call. */
    uint64_t free_bytes;
    /** UTF-8, ends with 0. */
    char name[128];
} moek_device_info;

/** The library's ABI: MOEK_ABI_MAJOR << 16 | MOEK_ABI_MINOR. Needs no context and no driver. */
MOEK_API uint32_t moek_abi(void);

/** Version of the library as text, for example "0.1.0". Static memory. */
MOEK_API const char *moek_version(void);

/** Name of a status, for example "MOEK_E_ARGUMENT". Static memory; never NULL. */
MOEK_API const char *moek_status_name(moek_status status);

/**
 * Text of this thread's last failure.
 *
 * @param[out] text      receives UTF-8, cut to fit and always ended with 0; may be NULL
 * @param[out] needed    receives the bytes of the whole text with its 0; may be NULL
 * @param      capacity  bytes at `text`
 * @return the status of the failure; MOEK_OK with an empty text when there was none
 */
MOEK_API moek_status moek_last_error(char *text, size_t *needed, size_t capacity);

/**
 * Number of usable devices.
 *
 * @param[out] count  receives it, 0 on failure
 * @return MOEK_OK; MOEK_E_NO_DRIVER, MOEK_E_DRIVER_OLD or MOEK_E_NO_DEVICE where there is none
 */
MOEK_API moek_status moek_device_count(int32_t *count);

/** Sets every field to its default: device 0, no callbacks. */
MOEK_API void moek_context_desc_init(moek_context_desc *desc);

/**
 * Opens a device.
 *
 * @param[out] context  receives the handle, NULL on failure
 * @param      desc     NULL for the defaults
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_NO_DRIVER, MOEK_E_DRIVER_OLD, MOEK_E_NO_DEVICE;
 *         MOEK_E_UNSUPPORTED for a device older than compute capability 8.0; MOEK_E_MEMORY
 */
MOEK_API moek_status moek_context_create(moek_context **context, const moek_context_desc *desc);

/** Gives a context up. It lives on while an object made with it does. NULL is allowed. */
MOEK_API void moek_context_destroy(moek_context *context);

/**
 * Describes the device.
 *
 * @param[in,out] info     struct_size set by the caller; receives the rest
 * @param         context  a context
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI for an unknown struct_size; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_context_info(moek_device_info *info, const moek_context *context);

#ifdef __cplusplus
}
#endif
#endif
