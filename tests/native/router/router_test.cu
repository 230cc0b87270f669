// Choice of experts against scalar code: ids equal, weights bit-equal.
#include "guarded.hpp"
#include "kernels/router/router.hpp"
#include "router_reference.hpp"

using namespace moek;
using test::DeviceArray;
using test::Guarded;
using test::Random;
using test::Routed;
using test::RouteInput;

namespace {

// Logits on a coarse grid, so that ties are frequent and decided by the id.
std::vector<float> coarse_logits(Random& random, size_t count) {
    std::vector<float> logits(count);
    for (float& logit : logits) logit = std::floor(random.uniform() * 16.0f) * 0.25f;
    return logits;
}

RouteInput random_input(uint64_t seed, int32_t tokens, const RouterRules& rules, bool coarse = true) {
    Random random(seed);
    RouteInput in;
    in.rules = rules;
    in.tokens = tokens;
    const size_t count = static_cast<size_t>(tokens) * rules.experts;
    in.logits = coarse ? coarse_logits(random, count) : test::random_values<float>(random, count, 6.0f);
    return in;
}

void add_vectors(RouteInput& in, uint64_t seed) {
    Random random(seed);
    in.vectors.choice_bias = coarse_logits(random, in.rules.experts);
    in.vectors.expert_scale = test::random_values<float>(random, in.rules.experts);
}

// Equal bits, or both NaN: a row of dropped choices is 0 / 0 under some norms, and NaNs differ between machines.
bool same_weights(const std::vector<float>& actual, const std::vector<float>& expected) {
    for (size_t i = 0; i < expected.size(); ++i) {
        const bool both_nan = actual[i] != actual[i] && expected[i] != expected[i];
        if (!both_nan && std::memcmp(&actual[i], &expected[i], 4) != 0) return false;
    }
    return actual.size() == expected.size();
}

Routed route(const RouteInput& in) {
    const size_t choices = static_cast<size_t>(in.tokens) * in.rules.top_k;
    DeviceArray<float> logits(in.logits), bias(in.vectors.choice_bias), scale(in.vectors.expert_scale);
    DeviceArray<int32_t> starts(in.starts), mask(in.mask), nonfinite(std::vector<int32_t>{0});
    Guarded<int32_t> ids(choices);
    Guarded<float> weights(choices);
    RouteTopK call;
    call.rules = in.rules;
    call.rules.choice_bias = bias.size() > 0 ? bias.get() : nullptr;
    call.rules.expert_scale = scale.size() > 0 ? scale.get() : nullptr;
    call.batch.sequences = in.starts.empty() ? 1 : static_cast<int32_t>(in.starts.size());
    call.batch.sequence_starts = in.starts.empty() ? nullptr : starts.get();
    call.batch.mask = in.mask.empty() ? nullptr : mask.get();
    call.logits = logits.get();
    call.tokens = in.tokens;
    call.topk_ids = ids.get();
    call.topk_weights = weights.get();
    call.nonfinite = nonfinite.get();
    const uint64_t bytes = route_topk_workspace(in.rules, in.tokens);
    Guarded<unsigned char> workspace(bytes);
    CHECK_CUDA(launch_route_topk(call, {workspace.get(), bytes}, {}));
    workspace.read();
    return {ids.read(), weights.read(), nonfinite.read()[0] != 0};
}

void check_route(const RouteInput& in, const char* name) {
    const Routed expected = test::reference_route(in);
    const Routed actual = route(in);
    if (actual.ids != expected.ids) test::fail(__FILE__, __LINE__, std::string("ids differ: ") + name);
    if (!same_weights(actual.weights, expected.weights))
        test::fail(__FILE__, __LINE__, std::string("weights differ: ") + name);
    CHECK_EQ(actual.nonfinite, expected.nonfinite);
}

RouterRules rules_of(int32_t experts, int32_t top_k, Score score, Norm norm) {
    RouterRules rules;
    rules.experts = experts;
    rules.top_k = top_k;
    rules.score = score;
    rules.norm = norm;
    return rules;
}

RouterRules grouped(RouterRules rules, GroupRule rule, int32_t groups, int32_t kept, float masked) {
    rules.group_rule = rule;
    rules.groups = groups;
    rules.kept_groups = kept;
    rules.masked_choice = masked;
    return rules;
}

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

CASE(scores_and_norms) {
    if (test::kThreadSanitizer) return;
    for (Score score : {Score::kSoftmax, Score::kSigmoid, Score::kNone}) {
        for (int norm = 0; norm <= 5; ++norm) {
            RouterRules rules = rules_of(7 + 5 * norm, 1 + norm, score, static_cast<Norm>(norm));
            rules.scale = 2.5f;
            RouteInput in = random_input(norm + 1, 3, rules, norm % 2 == 0);
            if (norm % 3 != 0) add_vectors(in, norm);
            check_route(in, "scores and norms");
        }
    }
}

CASE(groups) {
    if (test::kThreadSanitizer) return;
    const RouterRules rules = rules_of(64, 8, Score::kSigmoid, Norm::kSumEpsilon);
    RouteInput in = random_input(1, 6, grouped(rules, GroupRule::kMax, 8, 3, kNever));
    check_route(in, "best group");
    in = random_input(2, 6, grouped(rules, GroupRule::kTopTwo, 8, 4, kNever));
    add_vectors(in, 3);
    check_route(in, "two best of a group");
    // Negative choice values: masked experts at 0 are better than kept ones.
    in = random_input(4, 6, grouped(rules, GroupRule::kTopTwo, 16, 2, 0.0f));
    add_vectors(in, 5);
    for (float& bias : in.vectors.choice_bias) bias -= 1.5f;
    check_route(in, "masked at zero");
    in = random_input(6, 6, grouped(rules, GroupRule::kSame, 4, 1, kNever));
    check_route(in, "the same of each group");
    in = random_input(7, 4, grouped(rules_of(60, 6, Score::kSoftmax, Norm::kNone), GroupRule::kTopTwo, 60, 9, kNever));
    check_route(in, "groups of one");
}

CASE(odd_shapes) {
    if (test::kThreadSanitizer) return;
    check_route(random_input(1, 1, rules_of(1, 1, Score::kSoftmax, Norm::kSum)), "one expert");
    check_route(random_input(2, 9, rules_of(33, 33, Score::kSoftmax, Norm::kNone)), "all experts");
    check_route(random_input(3, 2, rules_of(1024, 64, Score::kSoftmax, Norm::kSum), false), "largest");
    check_route(
        random_input(4, 2, grouped(rules_of(1024, 8, Score::kSigmoid, Norm::kSum), GroupRule::kMax, 1024, 512, kNever)),
        "most groups");
    check_route(random_input(5, 0, rules_of(4, 2, Score::kSoftmax, Norm::kSum)), "no tokens");
}

// Scores that differ in nothing, zeros of both signs, and exponentials at the ends of their range.
CASE(special_logits) {
    if (test::kThreadSanitizer) return;
    RouteInput in = random_input(1, 4, rules_of(40, 5, Score::kNone, Norm::kNone));
    for (size_t i = 0; i < in.logits.size(); ++i) in.logits[i] = i < 40 ? 1.0f : i % 2 == 0 ? -0.0f : 0.0f;
    check_route(in, "equal logits");
    in.rules.score = Score::kSoftmax;
    for (size_t i = 0; i < in.logits.size(); ++i) in.logits[i] = i % 3 == 0 ? 3e38f : i % 3 == 1 ? -3e38f : 1e-40f;
    check_route(in, "huge logits");
    in.rules.score = Score::kSigmoid;
    check_route(in, "saturated sigmoids");
}

CASE(logits_that_are_not_finite) {
    if (test::kThreadSanitizer) return;
    RouteInput in = random_input(1, 5, rules_of(36, 3, Score::kSoftmax, Norm::kSum));
    in.logits[36 + 35] = std::nanf("");
    in.logits[3 * 36] = std::numeric_limits<float>::infinity();
    check_route(in, "not finite");
    in.mask = {1, 0, 1, 0, 1};
    check_route(in, "padding that is routed");
    in.rules.skip_padding = true;
    check_route(in, "padding that is skipped");
    in.mask = {1, 0, 1, 1, 1};
    in.rules.capacity = Capacity::kFraction;
    in.rules.capacity_tokens = 1;
    in.rules.normalize_survivors = true;
    in.rules.norm = Norm::kSigmoid;
    check_route(in, "survivors beside rows that are not finite");
}

CASE(capacities) {
    if (test::kThreadSanitizer) return;
    RouterRules rules = rules_of(5, 2, Score::kSoftmax, Norm::kSumAtLeast);
    rules.capacity = Capacity::kSequence;
    rules.capacity_tokens = 3;
    RouteInput in = random_input(1, 40, rules);
    check_route(in, "one sequence");
    in.starts = {0, 1, 1, 17, 39};
    check_route(in, "sequences");
    rules.capacity = Capacity::kFraction;
    rules.capacity_factor = 0.13;
    check_route(random_input(2, 40, rules), "fraction");
    rules.capacity_factor = -1.0;
    rules.capacity_tokens = 7;
    check_route(random_input(3, 40, rules), "fixed");
    rules.capacity_tokens = 0;
    check_route(random_input(4, 40, rules), "twice the share");
    rules.capacity = Capacity::kFactor;
    rules.capacity_factor = 0.9;
    rules.capacity_alignment = 4;
    check_route(random_input(5, 40, rules), "factor");
    rules.capacity_factor = -0.5;
    check_route(random_input(6, 40, rules), "negative factor");
    rules.capacity_factor = 0.0;
    rules.capacity_alignment = 1;
    check_route(random_input(7, 40, rules), "as needed");
    rules.capacity_factor = 1e300;
    check_route(random_input(8, 3, rules), "saturated");
}

CASE(priorities_and_survivors) {
    if (test::kThreadSanitizer) return;
    for (Score score : {Score::kSoftmax, Score::kSigmoid, Score::kNone}) {
        RouterRules rules = rules_of(6, 3, score, score == Score::kSoftmax ? Norm::kSumAtLeast : Norm::kSum);
        rules.capacity = Capacity::kFraction;
        rules.capacity_factor = 0.2;
        rules.prioritized = true;
        RouteInput in = random_input(1, 50, rules);
        check_route(in, "priorities");
        in.rules.normalize_survivors = true;
        in.rules.skip_padding = true;
        in.mask.assign(50, 1);
        for (int i = 0; i < 50; i += 7) in.mask[i] = 0;
        check_route(in, "survivors");
        in.rules.capacity = Capacity::kSequence;
        in.rules.capacity_tokens = 2;
        in.starts = {0, 20, 33};
        check_route(in, "priorities inside sequences");
    }
}

HOST_CASE(many_tokens) {
    if (test::kThreadSanitizer) return;
    RouterRules rules = rules_of(600, 2, Score::kSoftmax, Norm::kSum);
    rules.capacity = Capacity::kFactor;
    rules.capacity_factor = 1.0;
    rules.prioritized = true;
    check_route(random_input(1, 700, rules), "many tokens");
}

// A token's choice does not depend on its neighbours.
CASE(a_token_alone) {
    if (test::kThreadSanitizer) return;
    RouteInput batch = random_input(1, 9, rules_of(48, 4, Score::kSoftmax, Norm::kSum), false);
    const Routed all = route(batch);
    RouteInput alone = batch;
    alone.tokens = 1;
    alone.logits.assign(batch.logits.begin() + 5 * 48, batch.logits.begin() + 6 * 48);
    const Routed one = route(alone);
    CHECK(std::equal(one.ids.begin(), one.ids.end(), all.ids.begin() + 5 * 4));
    CHECK(std::memcmp(one.weights.data(), all.weights.data() + 5 * 4, 4 * sizeof(float)) == 0);
}

// What TSan has to see of every kernel: it starts a thread in half a millisecond, so the other cases leave it out.
CASE(races) {
    RouterRules rules = grouped(rules_of(40, 4, Score::kSoftmax, Norm::kSoftmax), GroupRule::kTopTwo, 8, 3, kNever);
    rules.capacity = Capacity::kSequence;
    rules.capacity_tokens = 1;
    rules.prioritized = true;
    rules.normalize_survivors = true;
    RouteInput in = random_input(1, 7, rules);
    in.starts = {0, 5};
    check_route(in, "everything");
    in.logits[3 * 40] = std::nanf("");
    in.logits[5 * 40] = std::nanf("");
    check_route(in, "not finite");
}
