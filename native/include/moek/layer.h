/**
 * @file layer.h
 * One whole mixture-of-experts layer: router, top-k, dispatch, experts, combine, shared expert.
 */
#ifndef MOEK_LAYER_H
#define MOEK_LAYER_H

#include "experts.h"
#include "router.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Adds the result to `output` instead of replacing it. */
#define MOEK_FORWARD_ACCUMULATE 1
/** Runs only the router, into expert_ids_out and expert_weights_out. */
#define MOEK_FORWARD_ROUTE_ONLY 2

/** A layer. */
typedef struct moek_layer moek_layer;

/** What a layer is made of. */
typedef struct moek_layer_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** MOEK_BORROW: the router's and the gate's vectors are device memory, used in place. */
    uint32_t flags;
    /** The router; NULL when every call brings its routing. */
    const moek_router_desc *router;
    /** The routed experts; they must outlive the layer. */
    const moek_experts *routed;
    /** The expert that every token passes, E = 1, or NULL. */
    const moek_experts *shared;
    /** [hidden] in `shared_gate_dtype`: sigmoid(x . gate + bias) times shared's output; or NULL. */
    const void *shared_gate;
    /** [1], or NULL. */
    const float *shared_gate_bias;
    /** MOEK_F32, MOEK_F16 or MOEK_BF16. */
    int32_t shared_gate_dtype;
    /** Width of the router's input; 0 for hidden. */
    int32_t router_width;
} moek_layer_desc;

/** One call. All memory is the device's. */
typedef struct moek_forward_args {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** MOEK_FORWARD_ bits. */
    uint32_t flags;
    /** T, 0 allowed. */
    int64_t tokens;
    /** [T, hidden] in `io_dtype`, 16-byte aligned. */
    const void *hidden;
    /** [T, hidden] in `io_dtype`, 16-byte aligned; must not overlap hidden. */
    void *output;
    /** MOEK_F32 (sums and activations in fp32) or MOEK_BF16 (tensor cores). */
    int32_t io_dtype;
    /** k of expert_ids; ignored without them. */
    int32_t top_k;
    /**
     * [T, k] decided routing, or NULL to route; ids outside 0..E-1 count as dropped. What the
     * layer's router says of inputs, outputs and dropped choices holds for it too.
     */
    const int32_t *expert_ids;
    /** [T, k] weights of expert_ids; NULL for ones. */
    const float *expert_weights;
    /** [E], receives the slots of every expert; or NULL. */
    int32_t *counts_out;
    /** 256-byte aligned; not shared with a call that may run at the same time. */
    void *workspace;
    /** At least moek_layer_workspace. */
    uint64_t workspace_bytes;
    /** NULL or a stream. */
    void *stream;
    /** What the router sees, [T, router_width] in `io_dtype`; NULL for hidden. */
    const void *router_input;
    /** Sequences and padding, or NULL. */
    const moek_batch *batch;
    /** [T, k], receives the ids; or NULL. */
    int32_t *expert_ids_out;
    /** [T, k], receives the routing weights, without output_factor; or NULL. */
    float *expert_weights_out;
} moek_forward_args;

/** Sets every field but struct_size to 0 and NULL. */
MOEK_API void moek_layer_desc_init(moek_layer_desc *desc);

/** Sets every field but struct_size to 0 and NULL. */
MOEK_API void moek_forward_args_init(moek_forward_args *args);

/**
 * Builds a layer.
 *
 * @param[out] layer    receives the handle, NULL on failure
 * @param      context  a context; it must outlive the layer
 * @param      desc     read during the call; host vectors are copied unless MOEK_BORROW is set
 * @return MOEK_OK; MOEK_E_ARGUMENT when parts do not fit together; MOEK_E_ABI; MOEK_E_NONFINITE
 *         for a host choice bias or expert scale that is not finite; MOEK_E_MEMORY; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_layer_create(moek_layer **layer, moek_context *context,
                                       const moek_layer_desc *desc);

/** Frees a layer once the device no longer uses it. NULL is allowed. */
MOEK_API void moek_layer_destroy(moek_layer *layer);

/**
 * Workspace of a call.
 *
 * @param[out] bytes      receives its size
 * @param[out] alignment  receives its alignment; NULL allowed
 * @param      layer      a layer
 * @param      max_tokens most tokens of a call
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_layer_workspace(uint64_t *bytes, uint64_t *alignment,
                                          const moek_layer *layer, int64_t max_tokens);

/**
 * Runs a layer. Queues its work and returns: nothing is allocated, nothing is waited for, and the
 * call can be captured in a CUDA graph. A row's bits depend on the row and the weights only,
 * unless the router has a capacity.
 *
 * @param layer  a layer
 * @param args   read during the call
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_UNSUPPORTED; MOEK_E_WORKSPACE;
 *         MOEK_E_DEVICE. A router that meets NaN is reported by moek_stream_synchronize.
 */
MOEK_API moek_status moek_layer_forward(const moek_layer *layer, const moek_forward_args *args);

#ifdef __cplusplus
}
#endif
#endif
