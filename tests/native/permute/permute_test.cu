// Plan, dispatch and combine against plain loops, bit for bit: every sum of the room has one order.
#include <climits>

#include "guarded.hpp"
#include "kernels/permute/permute.hpp"

using namespace moek;
using test::DeviceArray;
using test::first_difference;
using test::Guarded;
using test::Random;
using test::random_values;

namespace {

struct HostPlan {
    int32_t tokens, top_k, experts;
    std::vector<int32_t> counts, offsets, choice_of_slot, slot_of;

    size_t choices() const { return slot_of.size(); }
    size_t slots() const { return static_cast<size_t>(offsets.back()); }
};

HostPlan reference_plan(const std::vector<int32_t>& ids, int32_t tokens, int32_t top_k, int32_t experts) {
    HostPlan plan{tokens, top_k, experts, {}, {}, {}, {}};
    plan.counts.assign(experts, 0);
    plan.offsets.assign(experts + 1, 0);
    plan.choice_of_slot.assign(ids.size(), -1);
    plan.slot_of.assign(ids.size(), -1);
    for (int32_t id : ids)
        if (id >= 0 && id < experts) ++plan.counts[id];
    for (int32_t e = 0; e < experts; ++e) plan.offsets[e + 1] = plan.offsets[e] + plan.counts[e];
    std::vector<int32_t> next = plan.offsets;
    for (size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] < 0 || ids[i] >= experts) continue;
        plan.slot_of[i] = next[ids[i]]++;
        plan.choice_of_slot[plan.slot_of[i]] = static_cast<int32_t>(i);
    }
    return plan;
}

// Mostly experts, sometimes none or an id out of range; `favourite` >= 0 sends everything to one expert.
std::vector<int32_t> random_ids(Random& random, size_t count, int32_t experts, int32_t favourite) {
    const int32_t strange[] = {-1, INT_MIN, experts, INT_MAX};
    std::vector<int32_t> ids(count);
    for (int32_t& id : ids) {
        id = favourite >= 0 ? favourite : static_cast<int32_t>(random.below(experts));
        if (random.below(8) == 0) id = strange[random.below(4)];
    }
    return ids;
}

struct DevicePlan {
    DevicePlan(int32_t tokens, int32_t top_k, int32_t experts)
        : counts(experts),
          offsets(experts + 1),
          choice_of_slot(choices(tokens, top_k)),
          slot_of(choices(tokens, top_k)) {
        plan = {top_k, experts, tokens, counts.get(), offsets.get(), choice_of_slot.get(), slot_of.get()};
    }
    explicit DevicePlan(const HostPlan& host)
        : counts(host.counts), offsets(host.offsets), choice_of_slot(host.choice_of_slot), slot_of(host.slot_of) {
        plan = {host.top_k,    host.experts,         host.tokens,  counts.get(),
                offsets.get(), choice_of_slot.get(), slot_of.get()};
    }
    static size_t choices(int32_t tokens, int32_t top_k) { return static_cast<size_t>(tokens) * top_k; }

    Guarded<int32_t> counts, offsets, choice_of_slot, slot_of;
    DispatchPlan plan;
};

void check_plan(uint64_t seed, int32_t tokens, int32_t top_k, int32_t experts, int32_t favourite = -1) {
    Random random(seed);
    const std::vector<int32_t> ids = random_ids(random, DevicePlan::choices(tokens, top_k), experts, favourite);
    const HostPlan expected = reference_plan(ids, tokens, top_k, experts);
    DeviceArray<int32_t> topk_ids(ids);
    DevicePlan actual(tokens, top_k, experts);
    const uint64_t bytes = plan_workspace(tokens, top_k, experts);
    Guarded<unsigned char> workspace(bytes);
    CHECK_CUDA(launch_plan(actual.plan, topk_ids.get(), {workspace.get(), bytes}, {}));
    CHECK_EQ(first_difference(actual.counts.read(), expected.counts), -1);
    CHECK_EQ(first_difference(actual.offsets.read(), expected.offsets), -1);
    CHECK_EQ(first_difference(actual.slot_of.read(), expected.slot_of), -1);
    CHECK_EQ(first_difference(actual.choice_of_slot.read(), expected.choice_of_slot), -1);
    workspace.read();
}

// A plan in which some choices were dropped and a token has no slot at all.
HostPlan small_plan(Random& random, int32_t tokens, int32_t top_k, int32_t experts) {
    std::vector<int32_t> ids = random_ids(random, DevicePlan::choices(tokens, top_k), experts, -1);
    for (int32_t j = 0; j < top_k; ++j) ids[j] = -1;
    return reference_plan(ids, tokens, top_k, experts);
}

template <class T>
constexpr Element element_of() {
    return std::is_same_v<T, float> ? Element::kF32 : std::is_same_v<T, f16> ? Element::kF16 : Element::kBF16;
}

template <class T>
void check_dispatch(int32_t tokens, int32_t top_k, int32_t width, bool scaled, size_t shift) {
    Random random(width + 7 * tokens);
    const HostPlan host = small_plan(random, tokens, top_k, 6);
    const std::vector<T> x = random_values<T>(random, static_cast<size_t>(tokens) * width, 3.0f);
    const std::vector<float> weights = random_values<float>(random, host.choices());
    std::vector<T> expected(host.choices() * width);
    std::memset(static_cast<void*>(expected.data()), 0xFF, expected.size() * sizeof(T));
    for (size_t slot = 0; slot < host.slots(); ++slot) {
        const size_t choice = host.choice_of_slot[slot];
        for (int32_t i = 0; i < width; ++i) {
            const T value = x[choice / top_k * width + i];
            expected[slot * width + i] = scaled ? from_float<T>(weights[choice] * to_float(value)) : value;
        }
    }
    DevicePlan plan(host);
    Guarded<T> device_x(x, shift), xp(expected.size(), shift);
    DeviceArray<float> device_weights(weights);
    DispatchRows call;
    call.plan = plan.plan;
    call.x = device_x.get();
    call.weights = scaled ? device_weights.get() : nullptr;
    call.xp = xp.get();
    call.io = element_of<T>();
    call.width = width;
    CHECK_CUDA(launch_dispatch(call, {}));
    CHECK_EQ(first_difference(xp.read(), expected), -1);
}

// Which optional inputs a combine has.
struct CombineForm {
    bool weights, dropped, shared, accumulate;
};

template <class T>
void check_combine(int32_t tokens, int32_t top_k, int32_t width, CombineForm form, size_t shift) {
    Random random(width + 3 * tokens);
    const HostPlan host = small_plan(random, tokens, top_k, 6);
    const size_t row_elements = static_cast<size_t>(tokens) * width;
    const std::vector<float> yp = random_values<float>(random, host.slots() * width);
    const std::vector<float> weights = random_values<float>(random, host.choices());
    const std::vector<T> dropped = random_values<T>(random, row_elements),
                         before = random_values<T>(random, row_elements);
    const std::vector<float> shared = random_values<float>(random, row_elements);
    const float factor = 0.8f;
    std::vector<T> expected(row_elements);
    for (size_t i = 0; i < row_elements; ++i) {
        float sum = 0.0f;
        for (size_t choice = i / width * top_k; choice < (i / width + 1) * top_k; ++choice) {
            const float weight = form.weights ? weights[choice] * factor : factor;
            const int32_t slot = host.slot_of[choice];
            if (slot >= 0)
                sum = fmaf(weight, yp[static_cast<size_t>(slot) * width + i % width], sum);
            else if (form.dropped)
                sum = fmaf(weight, to_float(dropped[i]), sum);
        }
        if (form.shared) sum += shared[i];
        if (form.accumulate) sum += to_float(before[i]);
        expected[i] = from_float<T>(sum);
    }
    DevicePlan plan(host);
    Guarded<float> device_yp(yp, shift), device_shared(shared, shift);
    Guarded<T> device_dropped(dropped, shift);
    DeviceArray<float> device_weights(weights);
    Guarded<T> y = form.accumulate ? Guarded<T>(before, shift) : Guarded<T>(row_elements, shift);
    CombineRows call;
    call.plan = plan.plan;
    call.yp = device_yp.get();
    call.weights = form.weights ? device_weights.get() : nullptr;
    call.factor = factor;
    call.dropped = form.dropped ? device_dropped.get() : nullptr;
    call.shared = form.shared ? device_shared.get() : nullptr;
    call.accumulate = form.accumulate;
    call.y = y.get();
    call.io = element_of<T>();
    call.width = width;
    CHECK_CUDA(launch_combine(call, {}));
    CHECK_EQ(first_difference(y.read(), expected), -1);
}

template <class T>
void check_rows() {
    if (test::kThreadSanitizer) return;
    for (int32_t width : {1, 3, 8, 24, 40}) {
        check_dispatch<T>(5, 3, width, false, 0);
        check_dispatch<T>(5, 3, width, true, 0);
        check_dispatch<T>(4, 2, width, true, 1);
        check_combine<T>(5, 3, width, {true, false, false, false}, 0);
        check_combine<T>(4, 1, width, {false, true, false, true}, 0);
        check_combine<T>(3, 5, width, {true, true, true, true}, 0);
        check_combine<T>(3, 2, width, {true, true, true, false}, 1);
    }
}

}  // namespace

CASE(plan_of_few_choices) {
    if (test::kThreadSanitizer) return;
    check_plan(1, 0, 2, 4);
    check_plan(2, 1, 1, 1);
    check_plan(3, 5, 3, 7);
    check_plan(4, 33, 2, 16);
    check_plan(5, 300, 4, 65);
    check_plan(6, 200, 2, 9, 8);
}

CASE(plan_of_many_experts) {
    if (test::kThreadSanitizer) return;
    check_plan(1, 40, 8, 1024);
    check_plan(2, 64, 4, 4096);
}

CASE(plan_of_several_blocks) {
    if (test::kThreadSanitizer) return;
    check_plan(1, 2600, 2, 40);
    check_plan(2, 2100, 4, 33, 32);
}

HOST_CASE(plan_of_many_blocks) {
    if (test::kThreadSanitizer) return;
    check_plan(1, 33 * 4096 + 11, 1, 70);
    check_plan(2, (257 * 4096 + 100) / 2, 2, 3);
}

// What TSan has to see of every kernel: it starts a thread in half a millisecond, so the other cases leave it out.
CASE(races) {
    check_plan(1, 40, 2, 6);
    check_plan(2, 2600, 2, 40);
    check_dispatch<bf16>(3, 2, 24, true, 0);
    check_combine<f16>(3, 2, 24, {true, true, true, true}, 0);
}

HOST_CASE(plan_refuses_too_many_experts) {
    DevicePlan plan(1, 1, 4097);
    CHECK_EQ(launch_plan(plan.plan, plan.slot_of.get(), {}, {}), cudaErrorInvalidValue);
}

CASE(rows_of_floats) {
    check_rows<float>();
}
CASE(rows_of_halves) {
    check_rows<f16>();
}
CASE(rows_of_bfloats) {
    check_rows<bf16>();
}

// Rows longer than a block's step, so that a token has several blocks.
HOST_CASE(long_rows) {
    if (test::kThreadSanitizer) return;
    check_dispatch<float>(3, 2, 2060, true, 0);
    check_dispatch<bf16>(3, 2, 2063, true, 0);
    check_combine<bf16>(3, 2, 4100, {true, true, true, true}, 0);
    check_combine<float>(3, 2, 517, {true, false, false, true}, 1);
}

HOST_CASE(refuses_unknown_elements) {
    DispatchRows dispatch;
    dispatch.plan.tokens = 1;
    dispatch.width = 1;
    dispatch.io = Element::kMxfp4;
    CHECK_EQ(launch_dispatch(dispatch, {}), cudaErrorInvalidValue);
    CombineRows combine;
    combine.plan.tokens = 1;
    combine.width = 1;
    combine.io = Element::kF8E4M3;
    CHECK_EQ(launch_combine(combine, {}), cudaErrorInvalidValue);
}
