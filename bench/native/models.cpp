// What else a decode step needs: the router, and attention over a long cache.
#include <algorithm>
#include <cmath>

#include "stacks.hpp"

namespace moek::bench {
namespace {

struct RouterShape {
    const char* model;
    int32_t hidden, experts, top_k;
};

void run_one_router(Device& device, const Options& options, const RouterShape& shape, int64_t tokens) {
    const uint64_t e = shape.experts, h = shape.hidden, t = static_cast<uint64_t>(tokens);
    const Memory weight = random_rows(device, MOEK_BF16, e * h, 0.1f, 31);
    const Memory x = random_rows(device, MOEK_BF16, t * h, 1.0f, 32);
    const Memory logits(device, t * e * sizeof(float)), ids(device, t * shape.top_k * sizeof(int32_t)),
        weights(device, t * shape.top_k * sizeof(float));
    moek_router_desc router;
    moek_router_desc_init(&router);
    router.experts = shape.experts;
    router.top_k = shape.top_k;
    router.norm = MOEK_NORM_SUM;
    router.weight = weight.get();
    router.weight_dtype = MOEK_BF16;
    uint64_t needed = 0;
    MOEK_REQUIRE(moek_route_workspace(&needed, &router, tokens));
    const Memory workspace(device, needed);
    const auto queue = [&](int) {
        MOEK_REQUIRE(moek_router_logits(logits.get<float>(), device.context, &router, x.get(), MOEK_BF16, shape.hidden,
                                        tokens, device.stream));
        MOEK_REQUIRE(moek_route_topk(ids.get<int32_t>(), weights.get<float>(), device.context, &router,
                                     logits.get<float>(), nullptr, tokens, workspace.get(), needed, device.stream));
    };
    queue(0);
    const std::vector<float> host_w = read_rows(weight, MOEK_BF16), host_x = read_rows(x, MOEK_BF16);
    const std::vector<float> host_logits = logits.read<float>(), host_weights = weights.read<float>();
    const std::vector<int32_t> host_ids = ids.read<int32_t>();
    Comparison comparison;
    for (const uint64_t token : {uint64_t{0}, t - 1}) {
        for (uint64_t i = 0; i < e; ++i) {
            double sum = 0;
            for (uint64_t c = 0; c < h; ++c) sum += double{host_w[i * h + c]} * host_x[token * h + c];
            comparison.add(host_logits[token * e + i], sum);
        }
        // Of the device's own logits the first choice is the largest, and weights add up to 1.
        const float* row = &host_logits[token * e];
        if (host_ids[token * shape.top_k] != std::max_element(row, row + e) - row) throw Failure("wrong first expert");
        double total = 0;
        for (int32_t j = 0; j < shape.top_k; ++j) total += host_weights[token * shape.top_k + j];
        if (!(std::fabs(total - 1) < 1e-5)) throw Failure("routing weights add up to " + std::to_string(total));
    }
    comparison.require_below(1e-5);
    Result result;
    result.what = "router";
    result.model = shape.model;
    result.detail = "logits and top-k, bf16 weights";
    result.shape = {shape.experts, shape.top_k, shape.hidden};
    result.tokens = tokens;
    result.weights = static_cast<double>(e * h * t);
    result.bytes = static_cast<double>(weight.bytes() + x.bytes() + 2 * logits.bytes() + ids.bytes() + weights.bytes());
    print(device, result, time_calls(device, options, 1, queue));
}

struct AttentionShape {
    const char* model;
    int32_t heads, kv_heads, dim;
};

// Keys and values of `context` positions, [positions, kv_heads, dim], in two buffers that calls take turns with.
struct Cache {
    Memory keys, values;
};

// y of one head of one row, in double.
std::vector<double> attend(const float* q, const std::vector<float>& keys, const std::vector<float>& values,
                           const AttentionShape& shape, int32_t kv_head, int32_t positions) {
    const auto dim = static_cast<size_t>(shape.dim), stride = dim * shape.kv_heads;
    std::vector<double> scores(positions), y(dim, 0.0);
    double largest = -INFINITY, total = 0;
    for (int32_t p = 0; p < positions; ++p) {
        for (size_t i = 0; i < dim; ++i) scores[p] += double{q[i]} * keys[p * stride + kv_head * dim + i];
        scores[p] /= std::sqrt(static_cast<double>(dim));
        largest = std::max(largest, scores[p]);
    }
    for (double& score : scores) total += score = std::exp(score - largest);
    for (int32_t p = 0; p < positions; ++p) {
        for (size_t i = 0; i < dim; ++i) y[i] += scores[p] / total * values[p * stride + kv_head * dim + i];
    }
    return y;
}

void run_one_attention(Device& device, const Options& options, const AttentionShape& shape, int32_t rows,
                       int32_t positions) {
    const uint64_t width = uint64_t(shape.heads) * shape.dim, kv_width = uint64_t(shape.kv_heads) * shape.dim;
    const Memory q = random_rows(device, MOEK_F32, rows * width, 1.0f, 41), y(device, rows * width * sizeof(float));
    std::vector<Cache> caches;
    const int sets = std::min(rotation_for(device, 2 * positions * kv_width * sizeof(float)), 256);
    for (int s = 0; s < sets; ++s) {
        caches.push_back({random_rows(device, MOEK_F32, positions * kv_width, 1.0f, 42 + 2 * s),
                          random_rows(device, MOEK_F32, positions * kv_width, 1.0f, 43 + 2 * s)});
    }
    // The newest rows of the sequence: each sees all positions up to its own.
    std::vector<int32_t> first(rows, 0), last(rows);
    for (int32_t r = 0; r < rows; ++r) last[r] = positions - rows + r;
    const Memory device_first = Memory::of(device, first), device_last = Memory::of(device, last);
    moek_attention_args args;
    moek_attention_args_init(&args);
    args.rows = rows, args.heads = shape.heads, args.kv_heads = shape.kv_heads;
    args.key_dim = shape.dim, args.value_dim = shape.dim;
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape.dim));
    args.q = q.get<float>(), args.y = y.get<float>();
    args.first = device_first.get<int32_t>(), args.last = device_last.get<int32_t>();
    args.q_stride = args.y_stride = static_cast<int64_t>(width);
    args.k_stride = args.v_stride = static_cast<int64_t>(kv_width);
    args.q_head_stride = args.k_head_stride = args.v_head_stride = args.y_head_stride = shape.dim;
    args.positions = positions;
    uint64_t needed = 0;
    MOEK_REQUIRE(moek_attention_workspace(&needed, rows, shape.heads, shape.dim, positions));
    const Memory workspace(device, needed);
    args.workspace = workspace.get();
    args.workspace_bytes = workspace.bytes();
    const auto queue = [&](int call) {
        const Cache& cache = caches[call % caches.size()];
        args.k = cache.keys.get<float>();
        args.v = cache.values.get<float>();
        MOEK_REQUIRE(moek_attention(device.context, &args, device.stream));
    };
    queue(0);
    const std::vector<float> actual = y.read<float>(), host_q = q.read<float>();
    const std::vector<float> keys = caches[0].keys.read<float>(), values = caches[0].values.read<float>();
    Comparison comparison;
    for (const int32_t head : {0, shape.heads - 1}) {
        const size_t at = (rows - 1) * width + size_t(head) * shape.dim;
        const std::vector<double> expected =
            attend(&host_q[at], keys, values, shape, head / (shape.heads / shape.kv_heads), positions);
        for (size_t i = 0; i < expected.size(); ++i) comparison.add(actual[at + i], expected[i]);
    }
    comparison.require_below(1e-4);
    Result result;
    result.what = "attention";
    result.model = shape.model;
    result.detail = "fp32 cache, " + std::to_string(positions) + " positions";
    result.shape = {shape.heads, shape.kv_heads, shape.dim, positions};
    result.tokens = rows;
    result.bytes = static_cast<double>(2 * positions * kv_width * sizeof(float) + q.bytes() + y.bytes());
    print(device, result, time_calls(device, options, sets, queue));
}

}  // namespace

void run_router(Device& device, const Options& options) {
    const RouterShape tiny = {"tiny", 64, 8, 2}, qwen = {"Qwen3-30B", 2048, 128, 8}, mixtral = {"Mixtral", 4096, 8, 2};
    const auto run = [&](const RouterShape& shape, int64_t tokens) {
        run_case(options, "router/" + std::string(shape.model),
                 [&] { run_one_router(device, options, shape, tokens); });
    };
    if (options.tiny) return run(tiny, 5);
    for (const int64_t tokens : {1, 8, 64, 8192}) {
        run(qwen, tokens);
        run(mixtral, tokens);
    }
}

void run_attention(Device& device, const Options& options) {
    const AttentionShape tiny = {"tiny", 4, 2, 16}, qwen = {"Qwen3-30B", 32, 4, 128};
    const auto run = [&](const AttentionShape& shape, int32_t rows, int32_t positions) {
        run_case(options, "attention/" + std::string(shape.model),
                 [&] { run_one_attention(device, options, shape, rows, positions); });
    };
    if (options.tiny) return run(tiny, 2, 70);
    for (const int32_t positions : {512, 4096, 32768}) run(qwen, 1, positions);
    run(qwen, 8, 4096);
    run(qwen, 512, 512);
    run(qwen, 2048, 2048);
}

}  // namespace moek::bench
