/* One MoE layer through the C ABI, from the package alone: 4 experts of [16, 8], 2 a token, weights and tokens from a
 * small generator. Prints the output, one number a line; the managed twin in ../consumer prints the same. */
#include <moek/moek.h>
#include <stdio.h>
#include <stdlib.h>

enum { kExperts = 4, kTopK = 2, kHidden = 8, kIntermediate = 16, kTokens = 3 };

static void need(moek_status status, const char *what) {
    char text[512];
    if (status == MOEK_OK) return;
    moek_last_error(text, NULL, sizeof text);
    fprintf(stderr, "%s: %s: %s\n", what, moek_status_name(status), text);
    exit(1);
}

/* Numbers in -1..1 that every language makes alike. */
static void fill(float *values, int count, uint32_t seed) {
    for (int i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)(seed >> 8 & 0xffff) / 32768.0f - 1.0f;
    }
}

int main(void) {
    static float gate_up[kExperts * 2 * kIntermediate * kHidden], down[kExperts * kHidden * kIntermediate];
    static float router[kExperts * kHidden], hidden[kTokens * kHidden], output[kTokens * kHidden];
    fill(gate_up, sizeof gate_up / sizeof *gate_up, 1);
    fill(down, sizeof down / sizeof *down, 2);
    fill(router, sizeof router / sizeof *router, 3);
    fill(hidden, sizeof hidden / sizeof *hidden, 4);

    moek_context *context;
    need(moek_context_create(&context, NULL), "context");
    moek_experts_desc experts_desc;
    moek_experts_desc_init(&experts_desc);
    experts_desc.experts = kExperts;
    experts_desc.hidden = kHidden;
    experts_desc.intermediate = kIntermediate;
    experts_desc.gate_up = gate_up;
    experts_desc.gate_up_bytes = sizeof gate_up;
    experts_desc.down = down;
    experts_desc.down_bytes = sizeof down;
    moek_experts *experts;
    need(moek_experts_create(&experts, context, &experts_desc), "experts");

    moek_router_desc router_desc;
    moek_router_desc_init(&router_desc);
    router_desc.experts = kExperts;
    router_desc.top_k = kTopK;
    router_desc.norm = MOEK_NORM_SUM;
    router_desc.weight = router;
    moek_layer_desc layer_desc;
    moek_layer_desc_init(&layer_desc);
    layer_desc.router = &router_desc;
    layer_desc.routed = experts;
    moek_layer *layer;
    need(moek_layer_create(&layer, context, &layer_desc), "layer");

    void *x, *y, *workspace;
    uint64_t bytes;
    need(moek_alloc(&x, context, sizeof hidden), "hidden");
    need(moek_alloc(&y, context, sizeof output), "output");
    need(moek_layer_workspace(&bytes, NULL, layer, kTokens), "workspace size");
    need(moek_alloc(&workspace, context, bytes), "workspace");
    need(moek_copy_in(x, context, hidden, sizeof hidden, NULL), "copy");
    moek_forward_args args;
    moek_forward_args_init(&args);
    args.tokens = kTokens;
    args.hidden = x;
    args.output = y;
    args.workspace = workspace;
    args.workspace_bytes = bytes;
    need(moek_layer_forward(layer, &args), "forward");
    need(moek_copy_out(output, context, y, sizeof output, NULL), "copy");
    need(moek_stream_synchronize(context, NULL), "wait");
    for (int i = 0; i < kTokens * kHidden; i++) printf("%.9g\n", output[i]);

    moek_free(context, workspace);
    moek_free(context, y);
    moek_free(context, x);
    moek_layer_destroy(layer);
    moek_experts_destroy(experts);
    moek_context_destroy(context);
    return 0;
}
