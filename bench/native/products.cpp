// Decode: few tokens a matrix, several matrices at a time, as a layer's active experts are. And the grouped products of
// a prefill. Weights rotate, so that every call reads them from memory.
#include <algorithm>
#include <memory>

#include "kernels/packed/qmoe.hpp"
#include "qmoe_baseline.cuh"
#include "stacks.hpp"

namespace moek::bench {
namespace {

struct Shape {
    const char* model;
    int32_t rows, columns, experts, active;
};

// Experts of Qwen3-30B-A3B, Mixtral-8x7B and Switch-base-128: up (and gate), then down.
const Shape kShapes[] = {
    {"Qwen3-30B", 768, 2048, 128, 8}, {"Qwen3-30B", 2048, 768, 128, 8}, {"Mixtral", 14336, 4096, 8, 2},
    {"Mixtral", 4096, 14336, 8, 2},   {"Switch", 3072, 768, 128, 1},    {"Switch", 768, 3072, 128, 1},
};
const Shape kTinyShapes[] = {{"tiny", 128, 96, 4, 2}, {"tiny", 64, 200, 3, 1}};

// A stack, or several alike, and sets of `active` matrices to rotate through.
class Rotation {
public:
    Rotation(Device& device, const Shape& shape, const Kind& kind, int32_t tokens) : shape_(shape) {
        stacks_.push_back(make_stack(device, kind, shape.experts, shape.rows, shape.columns, 1));
        const auto set_bytes = static_cast<uint64_t>(stacks_[0]->bytes_per_matrix() * shape.active);
        sets_ = shape.experts / shape.active;
        const int stacks = std::min((rotation_for(device, set_bytes) + sets_ - 1) / sets_, 64);
        for (int s = 1; s < stacks; ++s) {
            stacks_.push_back(make_stack(device, kind, shape.experts, shape.rows, shape.columns, 1 + s));
        }
        for (const auto& stack : stacks_) weights_.push_back(std::make_unique<Weights>(device, *stack));
        set_tokens(device, tokens);
    }
    // `tokens` rows for every matrix of a set.
    void set_tokens(Device& device, int32_t tokens) {
        std::vector<int32_t> offsets;
        for (int set = 0; set < sets_; ++set) {
            for (int32_t e = 0; e <= shape_.experts; ++e) {
                offsets.push_back(tokens * std::clamp(e - set * shape_.active, 0, shape_.active));
            }
        }
        offsets_ = Memory::of(device, offsets);
    }
    int size() const { return sets_ * static_cast<int>(weights_.size()); }
    moek_weights* weights(int call) const { return weights_[call % weights_.size()]->handle; }
    const int32_t* offsets(int call) const { return offsets_.get<int32_t>() + set(call) * (shape_.experts + 1); }
    const WeightStack& stack(int call) const { return *stacks_[call % stacks_.size()]; }
    // Matrix that a slot of a call meets.
    int32_t matrix(int call, int32_t slot, int32_t tokens) const { return set(call) * shape_.active + slot / tokens; }

private:
    int set(int call) const { return call / static_cast<int>(stacks_.size()) % sets_; }

    Shape shape_;
    int sets_ = 1;
    std::vector<std::unique_ptr<WeightStack>> stacks_;
    std::vector<std::unique_ptr<Weights>> weights_;
    Memory offsets_;
};

// Input, output and workspace of a product.
struct Product {
    Product(Device& device, const Rotation& rotation, const Shape& shape, int32_t tokens, int32_t io_dtype)
        : io(io_dtype), slots(shape.active * tokens) {
        const uint64_t element = io == MOEK_F32 ? 4 : 2;
        x = random_rows(device, io, uint64_t{1} * slots * shape.columns, 1.0f, 7);
        y = Memory(device, uint64_t{1} * slots * shape.rows * element);
        uint64_t needed = 0;
        MOEK_REQUIRE(moek_linear_workspace(&needed, rotation.weights(0), slots));
        workspace = Memory(device, needed);
    }
    void queue(Device& device, const Rotation& rotation, int call) const {
        MOEK_REQUIRE(moek_grouped_gemm(y.get(), device.context, rotation.weights(call), nullptr, x.get(), io,
                                       rotation.offsets(call), slots, workspace.get(), workspace.bytes(),
                                       device.stream));
    }

    int32_t io, slots;
    Memory x, y, workspace;
};

// Results of call number `call`: some rows of some slots.
void check_rows(const Rotation& rotation, const std::vector<float>& x, const std::vector<float>& y, const Shape& shape,
                int32_t tokens, int call, double limit) {
    std::vector<float> row(shape.columns);
    Comparison comparison;
    Random random(11);
    for (int sample = 0; sample < 64; ++sample) {
        const auto slot = static_cast<int32_t>(random.below(static_cast<uint32_t>(shape.active * tokens)));
        const auto r = static_cast<int32_t>(random.below(static_cast<uint32_t>(shape.rows)));
        rotation.stack(call).row(rotation.matrix(call, slot, tokens), r, row.data());
        double sum = 0;
        for (int32_t i = 0; i < shape.columns; ++i) sum += double{row[i]} * x[size_t{1} * slot * shape.columns + i];
        comparison.add(y[size_t{1} * slot * shape.rows + r], sum);
    }
    comparison.require_below(limit);
}

void check_product(Device& device, const Rotation& rotation, const Product& product, const Shape& shape,
                   const Kind& kind, int32_t tokens, int call) {
    MOEK_REQUIRE(moek_fill(product.y.get(), device.context, 0xFF, product.y.bytes(), device.stream));
    product.queue(device, rotation, call);
    check_rows(rotation, read_rows(product.x, product.io), read_rows(product.y, product.io), shape, tokens, call,
               product_limit(kind, product.io));
}

// All but the detail; inputs and outputs are not among the bytes yet.
Result product_result(const Rotation& rotation, const Shape& shape, int32_t tokens) {
    Result result;
    result.what = "product";
    result.model = shape.model;
    result.shape = {shape.active, shape.rows, shape.columns};
    result.tokens = tokens;
    result.weights = 1.0 * shape.active * tokens * shape.rows * shape.columns;
    result.bytes = rotation.stack(0).bytes_per_matrix() * shape.active;
    return result;
}

void run_product(Device& device, const Options& options, Rotation& rotation, const Shape& shape, const Kind& kind,
                 int32_t tokens, int32_t io) {
    rotation.set_tokens(device, tokens);
    const Product product(device, rotation, shape, tokens, io);
    check_product(device, rotation, product, shape, kind, tokens, 0);
    check_product(device, rotation, product, shape, kind, tokens, rotation.size() - 1);
    Result result = product_result(rotation, shape, tokens);
    result.detail = name_of(kind) + (io == MOEK_F32 ? ", fp32 io" : ", bf16 io");
    result.bytes += static_cast<double>(product.x.bytes() + product.y.bytes());
    // A table lookup or a sum of ternary weights is no tensor-core work: its floor is the bytes alone.
    if (kind.dtype == MOEK_BF16) result.flops = 2 * result.weights;
    print(device, result,
          time_calls(device, options, rotation.size(), [&](int call) { product.queue(device, rotation, call); }));
}

// The paper's kernel: a launch a matrix and token.
class Baseline {
public:
    Baseline(Device& device, const Shape& shape, int32_t tokens)
        : shape_(shape), tokens_(tokens), blocks_(qmoe_baseline_shape(shape.rows, shape.columns)) {
        // The paper has six matrices; for others its way of choosing: about 80 blocks, a warp a row, 32 at most.
        if (blocks_.warps == 0) blocks_ = {(shape.rows + 79) / 80, std::min((shape.rows + 79) / 80, 32)};
        std::vector<uint32_t> words(2 * 65536);
        qmoe_dictionary(words.data());
        dictionary_ = Memory::of(device, words);
        const uint64_t slots = uint64_t{1} * shape.active * tokens;
        x = random_rows(device, MOEK_BF16, slots * shape.columns, 1.0f, 7);
        y = Memory(device, slots * shape.rows * sizeof(bf16));
        MOEK_REQUIRE(moek_fill(y.get(), device.context, 0, y.bytes(), device.stream));
    }
    void queue(Device& device, const Rotation& rotation, int call) const {
        const auto& stack = dynamic_cast<const CodewordStack&>(rotation.stack(call));
        for (int32_t slot = 0; slot < shape_.active * tokens_; ++slot) {
            const CodewordMatrix matrix = stack.matrix(rotation.matrix(call, slot, tokens_));
            QmoeBaseline args;
            args.y = y.get<bf16>() + int64_t{slot} * shape_.rows;
            args.x = x.get<bf16>() + int64_t{slot} * shape_.columns;
            args.codewords = matrix.codewords;
            args.row_offsets = matrix.row_offsets;
            args.min_max = reinterpret_cast<const bf16*>(matrix.min_max);
            args.dictionary = dictionary_.get<uint32_t>();
            args.rows = shape_.rows;
            args.columns = shape_.columns;
            MOEK_REQUIRE(launch_qmoe_baseline(args, blocks_, static_cast<cudaStream_t>(device.stream)));
        }
    }

    Memory x, y;

private:
    Shape shape_;
    int32_t tokens_;
    QmoeBaselineShape blocks_;
    Memory dictionary_;
};

void run_baseline(Device& device, const Options& options, Rotation& rotation, const Shape& shape, int32_t tokens) {
    const Baseline baseline(device, shape, tokens);
    baseline.queue(device, rotation, 0);
    check_rows(rotation, read_rows(baseline.x, MOEK_BF16), read_rows(baseline.y, MOEK_BF16), shape, tokens, 0,
               product_limit({MOEK_QMOE}, MOEK_BF16));
    Result result = product_result(rotation, shape, tokens);
    result.detail = "codewords, the paper's kernel";
    result.bytes += static_cast<double>(baseline.x.bytes() + baseline.y.bytes());
    print(device, result,
          time_calls(device, options, rotation.size(), [&](int call) { baseline.queue(device, rotation, call); }));
}

void run_kind(Device& device, const Options& options, const Shape& shape, const Kind& kind,
              const std::vector<int32_t>& tokens) {
    const std::string name = "product/" + std::string(shape.model) + "/" + name_of(kind);
    run_case(options, name, [&] {
        Rotation rotation(device, shape, kind, 1);
        for (const int32_t t : tokens) {
            run_case(options, name, [&] { run_product(device, options, rotation, shape, kind, t, MOEK_BF16); });
        }
        run_case(options, name, [&] { run_product(device, options, rotation, shape, kind, 1, MOEK_F32); });
        if (kind.dtype != MOEK_QMOE) return;
        run_case(options, name, [&] { run_baseline(device, options, rotation, shape, 1); });
    });
}

}  // namespace

void run_packed(Device& device, const Options& options) {
    const std::vector<Kind> kinds = {{MOEK_CODEBOOK, 5}, {MOEK_CODEBOOK, 8}, {MOEK_CODEBOOK, 10}, {MOEK_QMOE}};
    for (const Shape& shape : kShapes) {
        if (options.tiny) break;
        for (const Kind& kind : kinds) run_kind(device, options, shape, kind, {1, 2, 4, 8, 16});
    }
    for (const Shape& shape : kTinyShapes) {
        if (!options.tiny) break;
        for (const Kind& kind : kinds) run_kind(device, options, shape, kind, {1, 3});
    }
}

void run_dense(Device& device, const Options& options) {
    for (const Shape& shape : kShapes) {
        if (!options.tiny) run_kind(device, options, shape, {MOEK_BF16}, {1, 2, 4, 8, 16});
    }
    for (const Shape& shape : kTinyShapes) {
        if (options.tiny) run_kind(device, options, shape, {MOEK_BF16}, {1, 3});
    }
    if (options.tiny) return;
    // Prefill of 8192 tokens, top-8 of 128 and top-2 of 8 alike: every expert has its share.
    run_kind(device, options, {"Qwen3-30B prefill", 1536, 2048, 128, 128}, {MOEK_BF16}, {512});
    run_kind(device, options, {"Qwen3-30B prefill", 2048, 768, 128, 128}, {MOEK_BF16}, {512});
    run_kind(device, options, {"Mixtral prefill", 28672, 4096, 8, 8}, {MOEK_BF16}, {2048});
    run_kind(device, options, {"Mixtral prefill", 4096, 14336, 8, 8}, {MOEK_BF16}, {2048});
}

}  // namespace moek::bench
