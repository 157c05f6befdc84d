// SearchPlan: the decision. Constants are measured with `python -m benchmarks.filter_sweep`.
#include "search_plan.h"

#include <algorithm>

namespace weft {
namespace {

// A plain walk meets about this many new nodes for each place in its beam.
constexpr double kVisitsPerPlace = 12.0;
// A two-hop walk meets fewer that it measures, but tests many: until it has seen enough allowed
// ones, or all within two hops. (Lists are filled to something above a half.)
constexpr double kTwoHopVisitsPerPlace = 10.0;
constexpr double kTestsPerRow = 16.0;
constexpr double kLinksFilled = 0.58;
constexpr double kEnoughFilled = 0.625;
// With fewer allowed nodes within two full lists the walk gets lost.
constexpr double kTwoHopAllowedMin = 20.0;
// Where nearly everything is allowed, what is not costs a sweeping walk less than passing through.
constexpr double kSweepingShareMin = 0.95;
// A walk that has cost so many times the exact scan goes on no more.
constexpr double kBudgetShare = 1.3;
constexpr size_t kBeamMax = 2048;  // beyond it, moving the sorted array costs more than heaps

struct Costs {
    double exact;
    double plain;
    double sweeping;
    double two_hop;
};

Costs costs_of(const PlanInput& input, size_t ef) {
    const double share = double(input.eligible) / double(std::max<size_t>(input.slots, 1));
    const double row = input.costs.random_ns;
    Costs costs{};
    costs.exact = double(input.eligible) *
                  (input.is_filtered ? input.costs.random_ns : input.costs.sequential_ns);
    costs.plain = double(ef) * kVisitsPerPlace * row;
    costs.sweeping = costs.plain / std::max(share, 1e-9);
    const double links = double(input.links);
    const double tests = std::min(links * links * kLinksFilled * kLinksFilled,
                                  links * kEnoughFilled / std::max(share, 1e-9));
    costs.two_hop =
        double(two_hop_places(ef, share)) * (kTwoHopVisitsPerPlace + tests / kTestsPerRow) * row;
    return costs;
}

SearchPlan walk(Way way, const char* reason, const PlanInput& input, size_t ef) {
    SearchPlan plan;
    plan.way = way;
    plan.reason = reason;
    plan.ef = ef;
    plan.budget = double(input.eligible) * kBudgetShare;
    return plan;
}

SearchPlan scan(const char* reason, size_t ef, const char* overrides = "") {
    SearchPlan plan;
    plan.reason = reason;
    plan.ef = ef;
    plan.overrides = overrides;
    return plan;
}

SearchPlan plan_filtered(const PlanInput& input, size_t ef) {
    const Costs costs = costs_of(input, ef);
    const double share = double(input.eligible) / double(std::max<size_t>(input.slots, 1));
    const bool may_scan = !input.is_cutoff_set;
    const bool may_hop = input.strategy != FilterStrategy::sweeping && ef <= kBeamMax;
    if (!may_hop) {
        if (may_scan && costs.exact <= costs.sweeping)
            return scan("scanning what is allowed costs less than sweeping", ef);
        return walk(Way::sweeping,
                    input.strategy == FilterStrategy::sweeping ? "filterStrategy is sweeping"
                                                               : "ef is too large for two hops",
                    input, ef);
    }
    if (may_scan && costs.exact <= std::min(costs.two_hop, costs.sweeping))
        return scan("scanning what is allowed costs less than a walk", ef);
    if (input.strategy == FilterStrategy::free && share >= kSweepingShareMin)
        return walk(Way::sweeping, "nearly everything is allowed", input, ef);
    if (may_scan && share * double(input.links) * double(input.links) < kTwoHopAllowedMin)
        return scan("too few are allowed to walk from one to the next", ef);
    return walk(Way::two_hop, "walking among what is allowed costs least", input, ef);
}

}  // namespace

size_t two_hop_places(size_t ef, double share) {
    // Where few are allowed, two hops see fewer of them than one hop sees without a filter. What
    // that loses in recall more places bring back, and the walk still measures less than a plain
    // one.
    constexpr double kThinShare = 0.25;
    constexpr double kThinFactor = 0.5;
    if (share >= kThinShare) return ef;
    return ef + size_t(double(ef) * kThinFactor * (1.0 - share / kThinShare));
}

const char* name_of(Way way) {
    switch (way) {
        case Way::plain: return "plain";
        case Way::sweeping: return "sweeping";
        case Way::two_hop: return "two-hop";
        case Way::exact: break;
    }
    return "exact";
}

SearchPlan plan_search(const PlanInput& input) {
    const size_t ef = std::max(input.ef, input.k);
    if (input.eligible == 0) return scan("nothing is allowed", ef);
    if (input.linked == 0) return scan("nothing is linked yet", ef);
    if (input.eligible <= input.k) return scan("everything allowed is asked for", ef);
    if (input.is_filtered && input.is_cutoff_set && input.eligible < input.flat_search_cutoff)
        return scan("fewer docs are allowed than flatSearchCutoff", ef);
    if (input.is_filtered && input.eligible < input.live) return plan_filtered(input, ef);
    const Costs costs = costs_of(input, ef);
    if (costs.exact <= costs.plain) return scan("scanning costs less than a walk", ef);
    return walk(Way::plain, input.is_filtered ? "everything is allowed" : "no filter", input, ef);
}

}  // namespace weft
