// Attention against fp64, and the same bits whatever shares the block and however the chunks are spread.
#include "guarded.hpp"
#include "kernels/ops/ops.hpp"

using namespace moek;
using test::DeviceArray;
using test::first_difference;
using test::Guarded;
using test::Random;
using test::random_values;

namespace {

struct Problem {
    int32_t heads = 1, kv_heads = 1, key_dim = 8, value_dim = 8;
    std::vector<int32_t> first, last;
    std::vector<int32_t> mask;    // [positions], or empty
    std::vector<int32_t> places;  // [rows], or empty without bias
    int32_t reach = 0;
    bool sinks = false;
    bool shared_values = false;  // values are the beginning of the keys (MLA)
    int32_t gap = 0;             // floats between the heads of a position

    int32_t rows() const { return static_cast<int32_t>(first.size()); }
    int32_t positions() const { return *std::max_element(last.begin(), last.end()) + 1; }
    int32_t head_stride() const { return key_dim + gap; }
    bool sees(int32_t row, int32_t position) const {
        return position >= first[row] && position <= last[row] && (mask.empty() || mask[position] != 0);
    }
    size_t y_row() const { return static_cast<size_t>(heads) * value_dim; }
};

struct Data {
    std::vector<float> q, k, v, sinks, bias;
};

// Positions that no row sees are NaN: nothing of them may reach a result.
Data make_data(const Problem& problem, uint64_t seed) {
    Random random(seed);
    Data data;
    const size_t position_floats = static_cast<size_t>(problem.kv_heads) * problem.head_stride();
    data.q = random_values<float>(random, static_cast<size_t>(problem.rows()) * problem.heads * problem.key_dim, 2.0f);
    data.k = random_values<float>(random, problem.positions() * position_floats, 2.0f);
    data.v = problem.shared_values ? data.k
                                   : random_values<float>(random, static_cast<size_t>(problem.positions()) *
                                                                      problem.kv_heads * problem.value_dim);
    data.sinks = random_values<float>(random, problem.heads, 3.0f);
    data.bias = random_values<float>(random, static_cast<size_t>(problem.heads) * (2 * problem.reach + 1), 3.0f);
    for (int32_t p = 0; p < problem.positions(); ++p) {
        bool seen = false;
        for (int32_t r = 0; r < problem.rows(); ++r) seen = seen || problem.sees(r, p);
        if (seen) continue;
        const size_t value_floats = data.v.size() / problem.positions();
        std::fill_n(data.k.begin() + p * position_floats, position_floats, std::nanf(""));
        std::fill_n(data.v.begin() + p * value_floats, value_floats, std::nanf(""));
    }
    return data;
}

// Strides of values are those of the keys where they are shared.
Attention attention_of(const Problem& problem) {
    Attention call;
    call.rows = problem.rows();
    call.heads = problem.heads;
    call.kv_heads = problem.kv_heads;
    call.key_dim = problem.key_dim;
    call.value_dim = problem.value_dim;
    call.scale = 1.0f / std::sqrt(static_cast<float>(problem.key_dim));
    call.q_head_stride = problem.key_dim;
    call.q_stride = call.q_head_stride * problem.heads;
    call.k_head_stride = problem.head_stride();
    call.k_stride = call.k_head_stride * problem.kv_heads;
    call.v_head_stride = problem.shared_values ? call.k_head_stride : problem.value_dim;
    call.v_stride = call.v_head_stride * problem.kv_heads;
    call.y_head_stride = problem.value_dim;
    call.y_stride = static_cast<int64_t>(problem.y_row());
    return call;
}

// `spread` gives a workspace and a large device, so that every chunk has its block.
std::vector<float> attend(const Problem& problem, const Data& data, bool spread, size_t shift = 0) {
    Guarded<float> q(data.q), k(data.k, shift), v(data.v, shift), sinks(data.sinks), bias(data.bias);
    DeviceArray<int32_t> first(problem.first), last(problem.last), mask(problem.mask), places(problem.places);
    Guarded<float> y(problem.rows() * problem.y_row());
    Attention call = attention_of(problem);
    call.q = q.get();
    call.k = k.get();
    call.v = v.get();
    call.y = y.get();
    call.first = first.get();
    call.last = last.get();
    call.sinks = problem.sinks ? sinks.get() : nullptr;
    call.mask = problem.mask.empty() ? nullptr : mask.get();
    call.bias = problem.places.empty() ? nullptr : bias.get();
    call.places = places.get();
    call.bias_reach = problem.reach;
    const uint64_t bytes = spread ? attention_workspace(call.rows, call.heads, call.value_dim, problem.positions()) : 0;
    Guarded<unsigned char> workspace(bytes);
    Launch launch;
    if (spread) {
        call.positions = problem.positions();
        call.workspace = {workspace.get(), bytes};
        launch.multiprocessors = 1000;
    }
    CHECK_CUDA(launch_attention(call, launch));
    workspace.read();
    return y.read();
}

// y of one pair in fp64, and a bound of its error.
void check_pair(const Problem& problem, const Data& data, int32_t row, int32_t head, const float* actual) {
    const Attention call = attention_of(problem);
    const int32_t kv_head = head / (problem.heads / problem.kv_heads);
    const float* q = data.q.data() + row * call.q_stride + head * call.q_head_stride;
    std::vector<std::pair<int32_t, double>> scores;
    double largest = problem.sinks ? data.sinks[head] : -1e300, magnitude = 0;
    for (int32_t p = problem.first[row]; p <= problem.last[row]; ++p) {
        if (!problem.sees(row, p)) continue;
        const float* k = data.k.data() + p * call.k_stride + kv_head * call.k_head_stride;
        double score = 0, size = 0;
        for (int32_t d = 0; d < problem.key_dim; ++d) {
            score += static_cast<double>(q[d]) * k[d];
            size += std::fabs(static_cast<double>(q[d]) * k[d]);
        }
        double bias = 0;
        if (!problem.places.empty()) {
            const int32_t distance = std::clamp(p - problem.places[row], -problem.reach, problem.reach);
            bias = data.bias[head * (2 * problem.reach + 1) + problem.reach + distance];
        }
        scores.emplace_back(p, score * call.scale + bias);
        magnitude = std::max(magnitude, size * call.scale + std::fabs(bias));
        largest = std::max(largest, scores.back().second);
    }
    double sum = problem.sinks ? std::exp(data.sinks[head] - largest) : 0;
    std::vector<double> y(problem.value_dim), size(problem.value_dim);
    for (const auto& [p, score] : scores) {
        const double weight = std::exp(score - largest);
        const float* v = data.v.data() + p * call.v_stride + kv_head * call.v_head_stride;
        sum += weight;
        for (int32_t c = 0; c < problem.value_dim; ++c) {
            y[c] += weight * v[c];
            size[c] += weight * std::fabs(v[c]);
        }
    }
    // A score is off by key_dim + 3 half ulps of its magnitude, an exponent by that and one rounding more; a weight by
    // its exponent's error and 2 ulp, times one factor for each of the tiles and chunks; the sums by an ulp a tile and
    // half an ulp for each of the 64 values in it. Numerator and denominator both: twice.
    const double tiles = (problem.last[row] - problem.first[row]) / 64 + 2;
    const double half_ulps = (problem.key_dim + 5) * magnitude + 64 + 8 * tiles + 16;
    for (int32_t c = 0; c < problem.value_dim; ++c)
        CHECK_NEAR(actual[c], y[c] / sum, 2 * half_ulps * 0x1p-24 * size[c] / sum + 1e-30);
}

void check_attention(const Problem& problem, uint64_t seed) {
    const Data data = make_data(problem, seed);
    const std::vector<float> actual = attend(problem, data, false);
    for (int32_t row = 0; row < problem.rows(); ++row)
        for (int32_t head = 0; head < problem.heads; ++head)
            check_pair(problem, data, row, head, actual.data() + row * problem.y_row() + head * problem.value_dim);
    CHECK_EQ(first_difference(attend(problem, data, true), actual), -1);
}

Problem problem_of(int32_t heads, int32_t kv_heads, int32_t key_dim, int32_t value_dim) {
    Problem problem;
    problem.heads = heads;
    problem.kv_heads = kv_heads;
    problem.key_dim = key_dim;
    problem.value_dim = value_dim;
    return problem;
}

}  // namespace

CASE(decode) {
    Problem problem = problem_of(4, 2, 40, 24);
    problem.first = {0};
    problem.last = {test::kThreadSanitizer ? 70 : 130};
    problem.sinks = true;
    check_attention(problem, 1);
}

CASE(chunks) {
    if (test::kThreadSanitizer) return;
    Problem problem = problem_of(2, 1, 5, 7);
    problem.first = {600, 0, 511, 512};
    problem.last = {1100, 1023, 512, 1030};
    check_attention(problem, 1);
    problem.sinks = true;
    problem.gap = 3;
    check_attention(problem, 2);
}

// TSan: parts written by one kernel and merged by another.
HOST_CASE(chunks_of_one_row) {
    Problem problem = problem_of(1, 1, 4, 4);
    problem.first = {505};
    problem.last = {515};
    check_attention(problem, 3);
}

HOST_CASE(prefill) {
    if (test::kThreadSanitizer) return;
    Problem problem = problem_of(6, 2, 36, 130);
    for (int32_t r = 0; r < 25; ++r) {
        problem.first.push_back(std::max(0, r + 40 - 30));
        problem.last.push_back(r + 40);
    }
    check_attention(problem, 1);
}

HOST_CASE(latent_heads) {
    if (test::kThreadSanitizer) return;
    Problem problem = problem_of(20, 1, 576, 512);
    problem.shared_values = true;
    problem.first = {0};
    problem.last = {90};
    check_attention(problem, 1);
    problem.first = {3, 3};
    problem.last = {3, 64};
    check_attention(problem, 2);
}

HOST_CASE(odd_shapes) {
    if (test::kThreadSanitizer) return;
    Problem problem = problem_of(1, 1, 1, 1);
    problem.first = {0};
    problem.last = {0};
    check_attention(problem, 1);
    problem = problem_of(3, 3, 33, 257);
    problem.first = {63, 64, 0};
    problem.last = {64, 64, 63};
    check_attention(problem, 2);
    problem = problem_of(9, 1, 64, 128);
    problem.first = {0, 100};
    problem.last = {1, 128};
    problem.sinks = true;
    check_attention(problem, 3);
}

// Distances on both sides of the reach; a mask with holes, a whole hidden tile and hidden ends.
Problem source_problem(int32_t rows, int32_t positions) {
    Problem problem = problem_of(3, 3, 12, 20);
    problem.reach = 7;
    for (int32_t r = 0; r < rows; ++r) {
        problem.first.push_back(2);
        problem.last.push_back(positions - 1);
        problem.places.push_back(r * 5);
    }
    for (int32_t p = 0; p < positions; ++p) problem.mask.push_back(p % 3 != 1 && (p < 60 || p > 130) ? 1 : 0);
    return problem;
}

CASE(distances_and_holes) {
    Problem problem = source_problem(test::kThreadSanitizer ? 2 : 11, test::kThreadSanitizer ? 66 : 140);
    check_attention(problem, 1);
    problem.reach = 0;
    problem.sinks = true;
    check_attention(problem, 2);
    problem.mask.clear();
    problem.reach = 40;
    problem.kv_heads = 1;
    check_attention(problem, 3);
    problem.places.clear();
    problem.mask = source_problem(1, problem.positions()).mask;
    check_attention(problem, 4);
}

// The first chunk of the spread ones is hidden as a whole.
HOST_CASE(a_hidden_chunk) {
    if (test::kThreadSanitizer) return;
    Problem problem = source_problem(3, 1100);
    problem.kv_heads = 1;
    problem.first = {0, 400, 511};
    problem.places = {600, 510, 1099};
    std::fill_n(problem.mask.begin(), 512, 0);
    check_attention(problem, 1);
}

// A row has the same bits alone, beside other rows, and when keys are not aligned.
HOST_CASE(a_row_alone) {
    if (test::kThreadSanitizer) return;
    Problem batch = problem_of(4, 2, 32, 64);
    batch.sinks = true;
    for (int32_t r = 0; r < 12; ++r) {
        batch.first.push_back(r % 3 * 20);
        batch.last.push_back(540 + 7 * r);
    }
    const Data data = make_data(batch, 1);
    const std::vector<float> all = attend(batch, data, false);
    CHECK_EQ(first_difference(attend(batch, data, false, 1), all), -1);
    const int32_t row = 7;
    Problem alone = batch;
    alone.first = {batch.first[row]};
    alone.last = {batch.last[row]};
    Data one = data;
    const size_t q_row = static_cast<size_t>(batch.heads) * batch.key_dim;
    one.q.assign(data.q.begin() + row * q_row, data.q.begin() + (row + 1) * q_row);
    const std::vector<float> expected(all.begin() + row * batch.y_row(), all.begin() + (row + 1) * batch.y_row());
    CHECK_EQ(first_difference(attend(alone, one, false), expected), -1);
    CHECK_EQ(first_difference(attend(alone, one, true), expected), -1);
}

// Scores that raise the maximum in every tile, and scores so low that all but the last weight vanish.
HOST_CASE(rising_scores) {
    if (test::kThreadSanitizer) return;
    Problem problem = problem_of(1, 1, 2, 3);
    problem.first = {0};
    problem.last = {700};
    Data data = make_data(problem, 1);
    for (int32_t p = 0; p <= 700; ++p) {
        data.k[2 * p] = 0.25f * static_cast<float>(p);
        data.k[2 * p + 1] = -1000.0f;
    }
    data.q = {1.0f, 1.0f};
    const std::vector<float> actual = attend(problem, data, false);
    check_pair(problem, data, 0, 0, actual.data());
    CHECK_EQ(first_difference(attend(problem, data, true), actual), -1);
}

HOST_CASE(refuses_shapes) {
    Attention call;
    CHECK_EQ(launch_attention(call, {}), cudaSuccess);
    call.rows = call.heads = call.kv_heads = 1;
    call.key_dim = 577;
    call.value_dim = 1;
    CHECK_EQ(launch_attention(call, {}), cudaErrorInvalidValue);
    call.key_dim = 1;
    call.value_dim = 513;
    CHECK_EQ(launch_attention(call, {}), cudaErrorInvalidValue);
    call.value_dim = 1;
    float bias = 0;
    call.bias = &bias;
    CHECK_EQ(launch_attention(call, {}), cudaErrorInvalidValue);
    call.bias = nullptr;
    call.heads = 3;
    call.kv_heads = 2;
    CHECK_EQ(launch_attention(call, {}), cudaErrorInvalidValue);
}
