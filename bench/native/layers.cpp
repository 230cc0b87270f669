// Whole layers through moek_layer_forward: router, dispatch, experts, combine.
#include <algorithm>
#include <cmath>
#include <memory>

#include "stacks.hpp"

namespace moek::bench {
namespace {

struct Shape {
    const char* model;
    int32_t hidden, intermediate, experts, top_k;
};

constexpr Shape kQwen = {"Qwen3-30B", 2048, 768, 128, 8};
constexpr Shape kMixtral = {"Mixtral", 4096, 14336, 8, 2};
constexpr Shape kTiny = {"tiny", 64, 128, 8, 2};

// Stacks of a layer, its experts and its router.
class Layer {
public:
    Layer(Device& device, const Shape& shape, const Kind& kind, uint64_t seed) : shape_(shape) {
        const int32_t e = shape.experts, h = shape.hidden, i = shape.intermediate;
        const bool packed = kind.dtype != MOEK_BF16;
        if (packed) stacks_.push_back(make_stack(device, kind, e, i, h, seed));
        stacks_.push_back(make_stack(device, kind, e, packed ? i : 2 * i, h, seed + 1));
        stacks_.push_back(make_stack(device, kind, e, h, i, seed + 2));
        router_ = random_rows(device, MOEK_BF16, uint64_t{1} * e * h, 0.1f, seed + 3);
        make_experts(device, kind);
        make_layer(device);
    }
    ~Layer() {
        moek_layer_destroy(handle);
        moek_experts_destroy(experts_);
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    double expert_bytes() const {
        double bytes = 0;
        for (const auto& stack : stacks_) bytes += stack->bytes_per_matrix();
        return bytes;
    }
    double router_bytes() const { return static_cast<double>(router_.bytes()); }

    // y[rows] of expert e for x, in double.
    std::vector<double> expert(int32_t e, const float* x, const std::vector<int32_t>& rows) const {
        const int32_t h = shape_.hidden, i = shape_.intermediate;
        std::vector<float> row(std::max(h, i));
        const auto dot = [&](const WeightStack& stack, int32_t r, const auto* input) {
            stack.row(e, r, row.data());
            double sum = 0;
            for (int32_t c = 0; c < stack.columns; ++c) sum += double{row[c]} * input[c];
            return sum;
        };
        const bool packed = stacks_.size() == 3;
        std::vector<double> a(i), y;
        for (int32_t r = 0; r < i; ++r) {
            const double gate = dot(*stacks_[0], r, x);
            const double up = packed ? dot(*stacks_[1], r, x) : dot(*stacks_[0], i + r, x);
            a[r] = gate / (1 + std::exp(-gate)) * up;
        }
        for (const int32_t r : rows) y.push_back(dot(*stacks_.back(), r, a.data()));
        return y;
    }

    moek_layer* handle = nullptr;

private:
    void make_experts(Device& device, const Kind& kind) {
        moek_experts_desc desc;
        moek_experts_desc_init(&desc);
        desc.experts = shape_.experts;
        desc.hidden = shape_.hidden;
        desc.intermediate = shape_.intermediate;
        desc.dtype = kind.dtype;
        desc.flags = MOEK_BORROW;
        moek_codebook_desc codebooks[2];
        moek_qmoe_desc codewords[2];
        for (size_t s = 0; s + 1 < stacks_.size() && stacks_.size() == 3; ++s) {
            if (kind.dtype == MOEK_CODEBOOK) codebooks[s] = *static_cast<const moek_codebook_desc*>(stacks_[s]->data());
            if (kind.dtype == MOEK_QMOE) codewords[s] = *static_cast<const moek_qmoe_desc*>(stacks_[s]->data());
        }
        desc.gate_up = kind.dtype == MOEK_CODEBOOK ? static_cast<const void*>(codebooks)
                       : kind.dtype == MOEK_QMOE   ? static_cast<const void*>(codewords)
                                                   : stacks_[0]->data();
        desc.down = stacks_.back()->data();
        if (kind.dtype == MOEK_BF16) {
            desc.gate_up_bytes = stacks_[0]->bytes;
            desc.down_bytes = stacks_[1]->bytes;
        }
        MOEK_REQUIRE(moek_experts_create(&experts_, device.context, &desc));
    }
    void make_layer(Device& device) {
        moek_router_desc router;
        moek_router_desc_init(&router);
        router.experts = shape_.experts;
        router.top_k = shape_.top_k;
        router.norm = MOEK_NORM_SUM;
        router.weight = router_.get();
        router.weight_dtype = MOEK_BF16;
        moek_layer_desc desc;
        moek_layer_desc_init(&desc);
        desc.flags = MOEK_BORROW;
        desc.router = &router;
        desc.routed = experts_;
        MOEK_REQUIRE(moek_layer_create(&handle, device.context, &desc));
    }

    Shape shape_;
    std::vector<std::unique_ptr<WeightStack>> stacks_;
    Memory router_;
    moek_experts* experts_ = nullptr;
};

// Inputs and outputs of a call; several sets of tokens, so that calls choose other experts.
class Forward {
public:
    static constexpr int kSets = 16;
    Forward(Device& device, const Shape& shape, const Layer& layer, int64_t tokens, int32_t io)
        : shape_(shape), tokens_(tokens), io_(io) {
        const uint64_t rows = static_cast<uint64_t>(tokens) * shape.hidden, choices = tokens * uint64_t(shape.top_k);
        const int sets = tokens > 1024 ? 2 : kSets;
        for (int s = 0; s < sets; ++s) x_.push_back(random_rows(device, io, rows, 1.0f, 100 + s));
        y_ = Memory(device, x_[0].bytes());
        ids_ = Memory(device, choices * sizeof(int32_t));
        weights_ = Memory(device, choices * sizeof(float));
        counts_ = Memory(device, shape.experts * sizeof(int32_t));
        uint64_t needed = 0;
        MOEK_REQUIRE(moek_layer_workspace(&needed, nullptr, layer.handle, tokens));
        workspace_ = Memory(device, needed);
    }
    void queue(Device& device, const Layer& layer, int set, bool with_routing) const {
        moek_forward_args args;
        moek_forward_args_init(&args);
        args.tokens = tokens_;
        args.hidden = x_[set % x_.size()].get();
        args.output = y_.get();
        args.io_dtype = io_;
        args.workspace = workspace_.get();
        args.workspace_bytes = workspace_.bytes();
        args.stream = device.stream;
        if (with_routing) {
            args.counts_out = counts_.get<int32_t>();
            args.expert_ids_out = ids_.get<int32_t>();
            args.expert_weights_out = weights_.get<float>();
        }
        MOEK_REQUIRE(moek_layer_forward(layer.handle, &args));
    }
    int sets() const { return static_cast<int>(x_.size()); }
    double row_bytes() const { return static_cast<double>(x_[0].bytes() + y_.bytes()); }

    // Experts with at least one token, averaged over the sets.
    double distinct(Device& device, const Layer& layer) const {
        int64_t used = 0;
        for (int s = 0; s < sets(); ++s) {
            queue(device, layer, s, true);
            for (const int32_t count : counts_.read<int32_t>()) used += count > 0;
        }
        return static_cast<double>(used) / sets();
    }
    // Some outputs of the first and the last token, for the routing that the layer chose.
    void check(Device& device, const Layer& layer, double limit) const {
        MOEK_REQUIRE(moek_fill(y_.get(), device.context, 0xFF, y_.bytes(), device.stream));
        queue(device, layer, 0, true);
        const std::vector<float> x = read_rows(x_[0], io_), y = read_rows(y_, io_);
        const std::vector<int32_t> ids = ids_.read<int32_t>();
        const std::vector<float> weights = weights_.read<float>();
        Comparison comparison;
        for (const int64_t t : {int64_t{0}, tokens_ - 1}) {
            std::vector<int32_t> rows;
            for (int32_t r = 0; r < 16; ++r) rows.push_back(r * (shape_.hidden / 16));
            std::vector<double> expected(rows.size(), 0.0);
            for (int32_t j = 0; j < shape_.top_k; ++j) {
                const size_t choice = static_cast<size_t>(t) * shape_.top_k + j;
                const std::vector<double> part = layer.expert(ids.at(choice), &x[size_t(t) * shape_.hidden], rows);
                for (size_t r = 0; r < rows.size(); ++r) expected[r] += weights[choice] * part[r];
            }
            for (size_t r = 0; r < rows.size(); ++r) {
                comparison.add(y[size_t(t) * shape_.hidden + rows[r]], expected[r]);
            }
        }
        comparison.require_below(limit);
    }

private:
    Shape shape_;
    int64_t tokens_;
    int32_t io_;
    std::vector<Memory> x_;
    Memory y_, ids_, weights_, counts_, workspace_;
};

void run_layer(Device& device, const Options& options, const std::vector<std::unique_ptr<Layer>>& layers,
               const Shape& shape, const Kind& kind, int64_t tokens, int32_t io) {
    const Forward forward(device, shape, *layers[0], tokens, io);
    // Three products one after the other, the last on the results of two that were multiplied.
    forward.check(device, *layers[0], 3 * product_limit(kind, io));
    const double distinct = forward.distinct(device, *layers[0]);
    const int count = static_cast<int>(layers.size());
    const auto queue = [&](int call) { forward.queue(device, *layers[call % count], call / count, false); };
    Result result;
    result.what = "layer";
    result.model = shape.model;
    result.shape = {shape.experts, shape.top_k, shape.hidden, shape.intermediate};
    result.tokens = tokens;
    result.weights = 3.0 * shape.hidden * shape.intermediate * shape.top_k * static_cast<double>(tokens);
    result.bytes = distinct * layers[0]->expert_bytes() + layers[0]->router_bytes() + forward.row_bytes();
    // Tables and ternary sums replace the products of few tokens; many tokens meet tensor cores whatever the weights.
    if (kind.dtype == MOEK_BF16 || tokens >= 1024) result.flops = 2 * result.weights;
    const std::string detail = name_of(kind) + (io == MOEK_F32 ? ", fp32 io" : ", bf16 io");
    const int rotation = count * forward.sets();
    result.detail = detail;
    print(device, result, time_calls(device, options, rotation, queue));
    if (tokens > 64) return;
    result.detail = detail + ", queued call by call";
    print(device, result, time_calls(device, options, rotation, queue, true));
}

void run_kind(Device& device, const Options& options, const Shape& shape, const Kind& kind,
              const std::vector<int64_t>& tokens, bool fp32) {
    const std::string name = "layer/" + std::string(shape.model) + "/" + name_of(kind);
    run_case(options, name, [&] {
        std::vector<std::unique_ptr<Layer>> layers;
        layers.push_back(std::make_unique<Layer>(device, shape, kind, 21));
        const auto bytes = static_cast<uint64_t>(layers[0]->expert_bytes() * shape.experts);
        const int count = options.tiny ? 2 : std::min(rotation_for(device, bytes) - 1, 8);
        while (static_cast<int>(layers.size()) < count) {
            layers.push_back(std::make_unique<Layer>(device, shape, kind, 21 + 10 * layers.size()));
        }
        for (const int64_t t : tokens) {
            run_case(options, name, [&] { run_layer(device, options, layers, shape, kind, t, MOEK_BF16); });
            if (!fp32) continue;
            run_case(options, name, [&] { run_layer(device, options, layers, shape, kind, t, MOEK_F32); });
        }
    });
}

}  // namespace

void run_layers(Device& device, const Options& options) {
    const std::vector<Kind> kinds = {{MOEK_BF16}, {MOEK_CODEBOOK, 8}, {MOEK_QMOE}};
    for (const Kind& kind : kinds) {
        if (options.tiny) {
            run_kind(device, options, kTiny, kind, {1, 5}, true);
        } else {
            run_kind(device, options, kQwen, kind, {1, 8, 64}, true);
            run_kind(device, options, kQwen, kind, {512, 8192}, false);
        }
    }
    if (!options.tiny) run_kind(device, options, kMixtral, {MOEK_BF16}, {1, 8, 64, 512, 8192}, false);
}

}  // namespace moek::bench
