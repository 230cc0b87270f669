// Random grouped products for the tests of the experts room, and their results by plain loops.
#pragma once
#include <cmath>
#include <vector>

#include "device/math.cuh"
#include "guarded.hpp"
#include "kernels/experts/grouped.hpp"

namespace moek::test {

/// A stack of matrices in host memory.
struct HostStack {
    DenseStack shape;
    std::vector<uint8_t> data, scales;

    int64_t bits() const {
        return shape.type == Element::kF32      ? 32
               : shape.type == Element::kF8E4M3 ? 8
               : shape.type == Element::kMxfp4  ? 4
                                                : 16;
    }

    /// The exact value of a weight, as the managed WeightElement.Get defines it.
    float value(int matrix, int row, int column) const {
        const int64_t at = (int64_t{matrix} * shape.rows + row) * shape.columns + column;
        const uint8_t* byte = data.data() + at * bits() / 8;
        if (shape.type == Element::kF32) return read<float>(byte);
        if (shape.type == Element::kF16) return to_float(f16{read<uint16_t>(byte)});
        if (shape.type == Element::kBF16) return to_float(bf16{read<uint16_t>(byte)});
        if (shape.type == Element::kF8E4M3) {
            const int blocks_down = (shape.rows + shape.scale_block_rows - 1) / shape.scale_block_rows;
            const int blocks_across = (shape.columns + shape.scale_block_columns - 1) / shape.scale_block_columns;
            const int64_t block = (int64_t{matrix} * blocks_down + row / shape.scale_block_rows) * blocks_across +
                                  column / shape.scale_block_columns;
            return to_float(e4m3{*byte}) * read<float>(scales.data() + block * 4);
        }
        const int64_t block = (int64_t{matrix} * shape.rows + row) * (shape.columns / 32) + column / 32;
        return e2m1_to_float(static_cast<uint32_t>(*byte) >> (4 * (column & 1)) & 15) *
               to_float(e8m0{scales[static_cast<size_t>(block)]});
    }

private:
    template <class T>
    static T read(const uint8_t* bytes) {
        T value;
        std::memcpy(&value, bytes, sizeof value);
        return value;
    }
};

/// Weights of about unit size: sums over K then have a root mean square of about sqrt(K) / 2.
inline HostStack random_stack(Random& random, Element type, int matrices, int rows, int columns, int block_rows = 128,
                              int block_columns = 128) {
    HostStack stack;
    stack.shape.type = type;
    stack.shape.matrices = matrices;
    stack.shape.rows = rows;
    stack.shape.columns = columns;
    stack.shape.scale_block_rows = block_rows;
    stack.shape.scale_block_columns = block_columns;
    const int64_t elements = int64_t{matrices} * rows * columns;
    auto append = [](std::vector<uint8_t>& bytes, auto value) {
        const auto* raw = reinterpret_cast<const uint8_t*>(&value);
        bytes.insert(bytes.end(), raw, raw + sizeof value);
    };
    for (int64_t i = 0; i < elements; ++i) {
        const float value = random.uniform();
        if (type == Element::kF32) append(stack.data, value);
        if (type == Element::kF16) append(stack.data, from_float<f16>(value).bits);
        if (type == Element::kBF16) append(stack.data, from_float<bf16>(value).bits);
        if (type == Element::kF8E4M3) append(stack.data, from_float<e4m3>(value).bits);
        if (type == Element::kMxfp4 && i % 2 == 0) append(stack.data, static_cast<uint8_t>(random.bits() & 0xFF));
    }
    if (type == Element::kF8E4M3) {
        const int64_t blocks = int64_t{matrices} * ((rows + block_rows - 1) / block_rows) *
                               ((columns + block_columns - 1) / block_columns);
        for (int64_t i = 0; i < blocks; ++i) append(stack.scales, 1.0f + 0.5f * random.uniform());
    }
    if (type == Element::kMxfp4) {
        for (int64_t i = 0; i < elements / 32; ++i) append(stack.scales, static_cast<uint8_t>(124 + random.below(3)));
    }
    return stack;
}

/// One grouped product: what a kernel is given, in host memory.
struct Problem {
    HostStack w;
    std::vector<int32_t> offsets;  // empty: one group of all slots
    int slots = 0;
    std::vector<int32_t> choice_of_slot;  // empty: none
    int top_k = 1;
    std::vector<float> weights;  // of choices, empty: none
    std::vector<float> x;        // rounded to bf16 where io says so
    std::vector<float> bias;     // empty: none
    Element x_type = Element::kF32, y_type = Element::kF32;
    bool has_activation = false;
    Activation activation;
    GateUpOrder order = GateUpOrder::kConcatenated;

    bool gated() const { return has_activation && activation.gated; }
    int width() const { return gated() ? w.shape.rows / 2 : w.shape.rows; }
    int expert_of(int slot) const {
        int expert = 0;
        while (!offsets.empty() && offsets[static_cast<size_t>(expert) + 1] <= slot) ++expert;
        return expert;
    }
    /// An input as the product sees it: multiplied by the routing weight, rounded to the type of x.
    float input(int slot, int k) const {
        int row = slot;
        float factor = 1.0f;
        if (!choice_of_slot.empty()) {
            const int32_t choice = choice_of_slot[static_cast<size_t>(slot)];
            row = choice / top_k;
            if (!weights.empty()) factor = weights[static_cast<size_t>(choice)];
        }
        const float value = x[static_cast<size_t>(row) * static_cast<size_t>(w.shape.columns) + static_cast<size_t>(k)];
        return x_type == Element::kBF16 ? to_float(from_float<bf16>(value * factor)) : value * factor;
    }
};

/// Counts of slots per expert that add up to `slots`; `skew` 0 is even, 1 leaves many experts empty, 2 gives all to
/// one.
inline std::vector<int32_t> random_offsets(Random& random, int experts, int slots, int skew) {
    std::vector<int32_t> counts(static_cast<size_t>(experts), 0), offsets(1, 0);
    const uint32_t favourite = random.below(static_cast<uint32_t>(experts));
    for (int i = 0; i < slots; ++i) {
        uint32_t expert = random.below(static_cast<uint32_t>(experts));
        if (skew == 1) expert = expert * expert / static_cast<uint32_t>(experts);
        ++counts[skew == 2 ? favourite : expert];
    }
    for (int32_t count : counts) offsets.push_back(offsets.back() + count);
    return offsets;
}

/// Fills in inputs, biases and offsets for `slots` slots. With top_k > 0 slots are choices of slots / top_k tokens.
inline void fill(Problem& problem, Random& random, int slots, int skew, int top_k, bool with_weights, bool with_bias) {
    const int experts = problem.w.shape.matrices, columns = problem.w.shape.columns;
    problem.slots = slots;
    problem.offsets = random_offsets(random, experts, slots, skew);
    int rows = slots;
    if (top_k > 0) {
        rows = (slots + top_k - 1) / top_k;
        problem.top_k = top_k;
        for (int i = 0; i < slots; ++i) problem.choice_of_slot.push_back(i);
        for (int i = slots - 1; i > 0; --i)
            std::swap(problem.choice_of_slot[static_cast<size_t>(i)],
                      problem.choice_of_slot[random.below(static_cast<uint32_t>(i) + 1)]);
        // Not near zero, so that no row vanishes.
        for (int i = 0; with_weights && i < rows * top_k; ++i)
            problem.weights.push_back(0.75f + 0.5f * random.uniform());
    }
    problem.x = random_values<float>(random, static_cast<size_t>(rows) * static_cast<size_t>(columns));
    if (problem.x_type == Element::kBF16)
        for (float& value : problem.x) value = to_float(from_float<bf16>(value));
    if (with_bias) problem.bias = random_values<float>(random, static_cast<size_t>(experts * problem.w.shape.rows));
}

/// Sum over k of w[row, k] x[slot, k] in the library's order (ReferenceDot): 16 partial sums by k mod 16, then a tree.
inline float ordered_dot(const Problem& problem, int slot, int row) {
    const int columns = problem.w.shape.columns, expert = problem.expert_of(slot);
    float sums[16] = {};
    for (int k = 0; k < (columns + 15) / 16 * 16; ++k) {
        const float w = k < columns ? problem.w.value(expert, row, k) : 0.0f;
        sums[k % 16] = std::fmaf(w, k < columns ? problem.input(slot, k) : 0.0f, sums[k % 16]);
    }
    for (int width = 8; width > 0; width /= 2)
        for (int j = 0; j < width; ++j) sums[j] += sums[j + width];
    return sums[0];
}

/// The same sum in double, with weights rounded to bf16 where the tensor cores see them so.
inline double exact_dot(const Problem& problem, int slot, int row, bool bf16_weights) {
    const int expert = problem.expert_of(slot);
    double sum = 0;
    for (int k = 0; k < problem.w.shape.columns; ++k) {
        const float w = problem.w.value(expert, row, k);
        sum += double{bf16_weights ? to_float(from_float<bf16>(w)) : w} * double{problem.input(slot, k)};
    }
    return sum;
}

/// f(gate) * up and its kin, in the type of the sums.
template <class T>
T activated(const Activation& activation, T gate, T up);

template <>
inline float activated<float>(const Activation& activation, float gate, float up) {
    auto f = [&](float v) {
        if (activation.kind == ActivationKind::kRelu) return v < 0.0f ? 0.0f : v;
        if (activation.kind == ActivationKind::kGelu) return gelu(v);
        if (activation.kind == ActivationKind::kGeluTanh) return gelu_tanh(v);
        return silu(v);
    };
    if (activation.kind == ActivationKind::kClampedSwiGlu) {
        const float g = gate > activation.limit ? activation.limit : gate;
        const float u = std::fmin(std::fmax(up, -activation.limit), activation.limit);
        return (u + 1.0f) * (g / (1.0f + exp_f32(-activation.alpha * g)));
    }
    return activation.gated ? f(gate) * up : f(up);
}

template <>
inline double activated<double>(const Activation& activation, double gate, double up) {
    auto f = [&](double v) {
        if (activation.kind == ActivationKind::kRelu) return v < 0 ? 0 : v;
        if (activation.kind == ActivationKind::kGelu) return 0.5 * v * std::erfc(-v / std::sqrt(2.0));
        const double c = std::sqrt(2 / std::acos(-1.0));
        if (activation.kind == ActivationKind::kGeluTanh)
            return 0.5 * v * (1 + std::tanh(c * (v + 0.044715 * v * v * v)));
        return v / (1 + std::exp(-v));
    };
    if (activation.kind == ActivationKind::kClampedSwiGlu) {
        const double limit = double{activation.limit}, g = std::fmin(gate, limit);
        const double u = std::fmin(std::fmax(up, -limit), limit);
        return (u + 1) * g / (1 + std::exp(-double{activation.alpha} * g));
    }
    return activation.gated ? f(gate) * up : f(up);
}

/// Output [slot, column]; Dot gives the sum of a slot and a weight row.
template <class T, class Dot>
T expected_output(const Problem& problem, int slot, int column, Dot dot) {
    auto project = [&](int row) {
        const T sum = dot(slot, row);
        if (problem.bias.empty()) return sum;
        const int64_t at = int64_t{problem.expert_of(slot)} * problem.w.shape.rows + row;
        return sum + T{problem.bias[static_cast<size_t>(at)]};
    };
    if (!problem.gated()) {
        const T up = project(column);
        return problem.has_activation ? activated<T>(problem.activation, T{0}, up) : up;
    }
    const bool interleaved = problem.order == GateUpOrder::kInterleaved;
    const int gate_row = interleaved ? 2 * column : column;
    const int up_row = interleaved ? 2 * column + 1 : problem.width() + column;
    return activated<T>(problem.activation, project(gate_row), project(up_row));
}

/// A problem on the device and the call that runs it.
class DeviceProblem {
public:
    explicit DeviceProblem(const Problem& problem, int spare_slots = 0)
        : problem_(problem),
          w_(problem.w.data),
          scales_(problem.w.scales),
          offsets_(problem.offsets),
          choices_(problem.choice_of_slot),
          weights_(problem.weights),
          bias_(problem.bias),
          x_(problem.x_type == Element::kF32 ? problem.x : std::vector<float>()),
          x_bf16_(problem.x_type == Element::kBF16 ? rounded(problem.x) : std::vector<bf16>()),
          y_(static_cast<size_t>(problem.slots) * static_cast<size_t>(problem.width()) *
             (problem.y_type == Element::kF32 ? 4 : 2)),
          spare_slots_(spare_slots) {}

    GroupedCall call() const {
        GroupedCall call;
        call.groups.offsets = problem_.offsets.empty() ? nullptr : offsets_.get();
        call.groups.experts = problem_.offsets.empty() ? 1 : problem_.w.shape.matrices;
        call.groups.max_slots = problem_.slots + spare_slots_;
        call.gather.choice_of_slot = problem_.choice_of_slot.empty() ? nullptr : choices_.get();
        call.gather.top_k = problem_.top_k;
        call.gather.weights = problem_.weights.empty() ? nullptr : weights_.get();
        call.w = problem_.w.shape;
        call.w.data = w_.get();
        call.w.scales = problem_.w.scales.empty() ? nullptr : scales_.get();
        call.x = problem_.x_type == Element::kF32 ? static_cast<const void*>(x_.get()) : x_bf16_.get();
        call.bias = problem_.bias.empty() ? nullptr : bias_.get();
        call.y = y_.get();
        call.x_type = problem_.x_type;
        call.y_type = problem_.y_type;
        call.has_activation = problem_.has_activation;
        call.activation = problem_.activation;
        call.order = problem_.order;
        call.width = problem_.width();
        return call;
    }

    /// Outputs [slots, width]; checks the guards behind them.
    std::vector<float> read() const {
        const std::vector<uint8_t> bytes = y_.read();
        std::vector<float> values(static_cast<size_t>(problem_.slots) * static_cast<size_t>(problem_.width()));
        for (size_t i = 0; i < values.size(); ++i) {
            if (problem_.y_type == Element::kF32) {
                std::memcpy(&values[i], bytes.data() + i * 4, 4);
            } else {
                bf16 value;
                std::memcpy(&value, bytes.data() + i * 2, 2);
                values[i] = to_float(value);
            }
        }
        return values;
    }

private:
    static std::vector<bf16> rounded(const std::vector<float>& values) {
        std::vector<bf16> result;
        for (float value : values) result.push_back(from_float<bf16>(value));
        return result;
    }

    const Problem& problem_;
    Guarded<uint8_t> w_, scales_;
    Guarded<int32_t> offsets_, choices_;
    Guarded<float> weights_, bias_, x_;
    Guarded<bf16> x_bf16_;
    Guarded<uint8_t> y_;
    int spare_slots_;
};

}  // namespace moek::test
